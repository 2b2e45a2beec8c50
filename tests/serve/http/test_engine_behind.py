"""The real engine behind the server: replies are those of decoding alone, adapters and grammars included."""

import json
from concurrent.futures import ThreadPoolExecutor

import openai
import pytest

from finqa_lab.nn.generate import Stop, generate
from finqa_lab.nn.sampling import GREEDY, Sampling
from finqa_lab.serve.engine import EngineSettings
from finqa_lab.tune.lora import set_adapter
from tests.serve.http.serving import END, live, small_service, tokenizer

PROMPTS = [f"The total of {a} and {b} in 2019" for a, b in ((2, 3), (10, 20), (7, 1), (5, 5), (100, 2), (8, 13))]


@pytest.fixture(scope="module")
def server():
    """Few blocks, so that the sequences of a batch take them from each other."""
    engine = EngineSettings(blocks=20, block_size=8, batch=8, step_tokens=32)
    with live(small_service(engine=engine)) as running:
        yield running


@pytest.fixture
def client(server):
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as client:
        yield client


def alone(server, prompt: str, limit: int, sampling=GREEDY, adapter=None) -> str:
    """What the model writes with nobody else there, by the plain loop."""
    model, ids = server.service.worker.engine.model, tokenizer().encode(prompt).ids
    set_adapter(model, adapter)
    try:
        tokens = generate(model, [ids], Stop(limit, frozenset({END})), sampling).tokens[0]
    finally:
        set_adapter(model, None)
    return tokenizer().decode([token for token in tokens if token != END], skip_special_tokens=True)


def test_concurrent_replies_of_all_adapters_are_those_of_decoding_alone(server, client):
    names = ["small", "red", "small:blue", "small", "blue", "red"]
    asked = [
        {"model": name, "prompt": prompt, "max_tokens": 30, "temperature": heat, "seed": seed}
        for seed, (name, prompt, heat) in enumerate(zip(names, PROMPTS, (0, 0, 0, 0.9, 0.9, 0.9)))
    ]
    with ThreadPoolExecutor(len(asked)) as pool:
        replies = list(pool.map(lambda body: client.completions.create(**body).choices[0].text, asked))
    server.until(lambda: not server.service.worker.engine.busy)
    statistics = server.service.worker.statistics
    assert statistics.preemptions > 0 and statistics.blocks_free == statistics.blocks
    adapters = [None, "red", "blue", None, "blue", "red"]
    samplings = [GREEDY] * 3 + [Sampling(0.9, seed=seed) for seed in (3, 4, 5)]
    expected = [alone(server, *case) for case in zip(PROMPTS, [30] * 6, samplings, adapters)]
    assert replies == expected and len(set(replies)) == len(replies)


def test_a_seed_repeats_a_reply_and_its_stream(client):
    body = {"model": "small", "prompt": PROMPTS[0], "max_tokens": 30, "temperature": 1.2, "seed": 11}
    first, second = (client.completions.create(**body).choices[0].text for _ in range(2))
    streamed = "".join(chunk.choices[0].text for chunk in client.completions.create(**body, stream=True))
    other = client.completions.create(**body | {"seed": 12}).choices[0].text
    assert first == second == streamed != other


def test_a_random_model_cannot_leave_the_grammar(client):
    """Whatever the weights, the temperature and the limit: the reply has the form."""
    for seed, limit in enumerate((7, 8, 10, 14, 40)):
        reply = client.chat.completions.create(
            model="red",
            messages=[{"role": "user", "content": "2 + 3?"}],
            response_format={"type": "json_object"},
            temperature=2,
            seed=seed,
            max_tokens=limit,
        )
        answer = json.loads(reply.choices[0].message.content)
        assert set(answer) == {"answer"} and isinstance(answer["answer"], int | float)
        assert reply.choices[0].finish_reason == "stop"


def test_a_prompt_that_comes_again_is_found_in_the_prefix_cache(client):
    body = {"model": "small", "prompt": "net income and total revenue of the year " * 4, "max_tokens": 2}
    first, second = (client.completions.create(**body).usage for _ in range(2))
    assert first.prompt_tokens_details.cached_tokens == 0
    assert 0 < second.prompt_tokens_details.cached_tokens < second.prompt_tokens


def test_a_reply_that_could_never_fit_is_refused_or_shortened(client):
    """160 positions in all, of a context of 128."""
    usage = client.completions.create(model="small", prompt=[5] * 100, max_tokens=150).usage
    assert usage.completion_tokens <= 29
