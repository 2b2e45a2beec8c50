"""Grammars in the engine: hundreds of sampled replies, beside others that have none."""

from functools import cache

from tokenizers import Tokenizer

from finqa_lab.files import data_path
from finqa_lab.nn.config import DecoderConfig
from finqa_lab.nn.generate import Stop, generate
from finqa_lab.nn.sampling import Sampling
from finqa_lab.nn.transformer import Decoder
from finqa_lab.quantitative.dsl import parse
from finqa_lab.quantitative.replies import read_reply
from finqa_lab.serve.engine import Engine, EngineSettings, complete
from finqa_lab.serve.request import Request
from finqa_lab.serve.structured.answers import answer_json
from finqa_lab.serve.structured.budget import within
from finqa_lab.serve.structured.programs import program

END = 2044
CONFIG = DecoderConfig.llama(2048, 16, 1, 2, 32, 128, tied=True)


@cache
def tokenizer() -> Tokenizer:
    return Tokenizer.from_file(str(data_path("models/finqa-tiny/tokenizer.json")))


def test_no_sampled_reply_has_a_structure_error_whatever_stands_beside_it():
    model = Decoder(CONFIG, seed=3).eval()
    answers, programs = answer_json(tokenizer(), END), within(program(tokenizer(), END, steps=6), 48)
    requests = []
    for seed in range(240):
        sampling, prompt = Sampling(temperature=1.5, seed=seed), (seed % 2000, 7, 8)
        grammar = (answers, programs, None)[seed % 3]
        stop = Stop(grammar.longest if grammar else 12, frozenset((END,)))
        requests.append(Request(prompt, stop, sampling, grammar=grammar))
    # too few blocks for all, so that some are preempted and computed again
    settings = EngineSettings(blocks=24, block_size=8, batch=8, waiting=240)
    engine = Engine(model, settings)
    written = complete(engine, requests)
    assert engine.statistics.preemptions > 0
    texts = [tokenizer().decode(tokens, skip_special_tokens=True) for tokens in written]
    assert all(tokens[-1] == END for number, tokens in enumerate(written) if number % 3 != 2)
    assert all(read_reply(text).source == "json" for text in texts[0::3])
    assert all(parse(text) for text in texts[1::3])
    for number in (2, 50, 101):  # what has no grammar is what it is alone
        request = requests[number]
        assert written[number] == generate(model, [list(request.prompt)], request.stop, request.sampling).tokens[0]
