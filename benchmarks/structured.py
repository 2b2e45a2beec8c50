"""Grammar-constrained decoding: how large the automata are, and what they do to the replies of finqa-tiny.

    OMP_NUM_THREADS=1 python benchmarks/structured.py [--questions 100] [--out benchmarks/results/structured.json]

Replies are greedy, to validation questions of the four numeric tasks of ``finqa_lab.quantitative`` (seed 0), written by
the engine with the grammar and without it. An unreadable reply has no JSON with a number, or is as a whole no program;
a program without a value can be read and not computed (a division by zero, a power too large). A reply within 1% is
right. ``own way`` is the share of replies whose tokens are those that the tokenizer cuts their text into. ``forced`` is
the share of tokens that were the only allowed ones. About one minute on one thread.
"""

import argparse
import json
import time
from pathlib import Path

import torch
from tokenizers import Tokenizer

from finqa_lab.course.report import hardware
from finqa_lab.files import data_path, write_atomic
from finqa_lab.finqa.failure import ProgramError
from finqa_lab.finqa.program import ARITHMETIC, TABLE
from finqa_lab.nn.config import DecoderConfig
from finqa_lab.nn.generate import Stop
from finqa_lab.nn.transformer import Decoder
from finqa_lab.quantitative.dataset import NUMERIC, dataset
from finqa_lab.quantitative.dsl import execute, parse
from finqa_lab.quantitative.replies import read_reply
from finqa_lab.quantitative.scoring import score
from finqa_lab.serve.engine import Engine, EngineSettings, complete
from finqa_lab.serve.request import Request
from finqa_lab.serve.structured.answers import answer_json
from finqa_lab.serve.structured.budget import within
from finqa_lab.serve.structured.programs import program
from finqa_lab.tune.base import load_base

MIXED = (*ARITHMETIC, "maximum", "minimum", "absolute", "floor")
RANKED = (*MIXED, "name", "rank", "first")
ROWS = tuple(f"net sales of segment {number}" for number in range(20))
GRAMMARS = {
    "answer": lambda tokenizer, end: answer_json(tokenizer, end),
    "answer, exponent": lambda tokenizer, end: answer_json(tokenizer, end, exponent=2),
    "program, 1 step": lambda tokenizer, end: program(tokenizer, end, steps=1),
    "program, 5 steps": lambda tokenizer, end: program(tokenizer, end, steps=5),
    "program, 32 steps": lambda tokenizer, end: program(tokenizer, end, steps=32),
    "program, 5 steps, 20 rows": lambda tokenizer, end: program(
        tokenizer, end, steps=5, operations=(*ARITHMETIC, *TABLE), rows=ROWS
    ),
    "program, 6 steps, rankings": lambda tokenizer, end: program(
        tokenizer, end, steps=6, operations=RANKED, names=("Alder", "Birch", "Elm")
    ),
}
ASKED_FOR = {
    "number": (33, lambda tokenizer, end: answer_json(tokenizer, end)),
    "program": (64, lambda tokenizer, end: program(tokenizer, end, steps=8, operations=set(MIXED) - {"greater"})),
}


def sizes(tokenizer: Tokenizer, end: int) -> list[dict]:
    """One row for each grammar."""
    rows = []
    for name, make in GRAMMARS.items():
        began = time.process_time()
        found = make(tokenizer, end)
        seconds = time.process_time() - began
        found.allowed(0)  # torch's own beginnings are not the grammar's
        edges = sum(len(found.edges(state)[0]) for state in range(found.states))
        began = time.process_time()
        for state in range(min(found.states, 1000)):
            found.allowed(state)
        mask = (time.process_time() - began) / min(found.states, 1000)
        rows.append(
            {
                "grammar": name,
                "states": found.states,
                "edges": edges,
                "shortest": found.shortest,
                "longest": found.longest,
                "cpu_seconds": round(seconds, 2),
                "mask_microseconds": round(1e6 * mask, 1),
            }
        )
    return rows


def replies(model, base, samples, target: str, limit: int, grammar) -> dict:
    """Replies of one model to all questions, and what is in them."""
    prompts, end = [], base.tokenizer.token_to_id("<|end|>")
    for sample in samples:
        text = base.template.render(sample.messages(target)[:-1], reply=True)
        prompts.append(tuple(base.tokenizer.encode(text, add_special_tokens=False).ids))
    engine = Engine(model, EngineSettings(blocks=512, waiting=len(samples)))
    stop = Stop(limit, frozenset((end,)))
    written = complete(engine, [Request(prompt, stop, grammar=grammar) for prompt in prompts])
    texts = {
        sample.id: base.tokenizer.decode(tokens, skip_special_tokens=True) for sample, tokens in zip(samples, written)
    }
    scores = score(texts, samples)
    bodies = [[token for token in tokens if token != end] for tokens in written]
    own = sum(base.tokenizer.encode(base.tokenizer.decode(b), add_special_tokens=False).ids == b for b in bodies)
    bad = sum(map(unreadable[target], texts.values()))
    without = sum(not no_program(text) and execute(text).failure is not None for text in texts.values())
    row = {"questions": len(samples), "unreadable": bad, "without_value": without, "right": scores.rate("within").hits}
    row |= {"own_way": own, "cut_off": sum(tokens[-1] != end for tokens in written)}
    if grammar is not None:
        forced = total = 0
        for tokens in written:
            state = grammar.start
            for token in tokens:
                forced, total = forced + (int(grammar.allowed(state).sum()) == 1), total + 1
                state = grammar.step(state, token)
        row["forced"] = round(forced / total, 3)
    return row


def no_number(text: str) -> bool:
    """Whether a reply is not the JSON that was asked for."""
    return read_reply(text).source != "json" or not isinstance(read_reply(text).answer, float)


def no_program(text: str) -> bool:
    """Whether a reply cannot be parsed as a program."""
    try:
        parse(text)
    except ProgramError:
        return True
    return False


unreadable = {"number": no_number, "program": no_program}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--questions", type=int, default=100)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    tokenizer = Tokenizer.from_file(str(data_path("models/finqa-tiny/tokenizer.json")))
    rows = sizes(tokenizer, tokenizer.token_to_id("<|end|>"))
    print(f"{'grammar':<28}{'states':>8}{'edges':>9}{'shortest':>9}{'longest':>8}{'CPU-s':>7}{'mask, us':>9}")
    for row in rows:
        print(
            f"{row['grammar']:<28}{row['states']:>8,}{row['edges']:>9,}{row['shortest']:>9}{row['longest']:>8,}"
            f"{row['cpu_seconds']:>7.2f}{row['mask_microseconds']:>9.1f}"
        )
    base = load_base("finqa-tiny")
    tasks = [sample for sample in dataset(0).validation if sample.task in NUMERIC]
    samples = tasks[:: max(1, len(tasks) // arguments.questions)][: arguments.questions]
    shape = DecoderConfig.llama(2048, 64, 2, 4, 128, 1024, kv_heads=2, tied=True)
    models, found = {"finqa-tiny": base.model, "random weights": Decoder(shape).eval()}, []
    for name, model in models.items():
        for target, (limit, make) in ASKED_FOR.items():
            grammar = within(make(tokenizer, tokenizer.token_to_id("<|end|>")), limit)
            for constrained in (False, True):
                row = {"model": name, "asked_for": target, "grammar": constrained}
                row |= replies(model, base, samples, target, limit, grammar if constrained else None)
                found.append(row)
                print(row, flush=True)
    report = {"benchmark": "structured", "date": time.strftime("%Y-%m-%d"), "hardware": hardware()}
    report |= {"grammars": rows, "replies": found}
    if arguments.out:
        write_atomic(arguments.out, json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
