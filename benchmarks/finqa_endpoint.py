"""Any OpenAI-compatible endpoint on FinQA, on gold facts or behind our own retrieval; part of benchmarks/finqa.py."""

import argparse
from collections import Counter
from pathlib import Path

from tqdm import tqdm

from finqa_lab.errors import CourseError
from finqa_lab.files import home
from finqa_lab.finqa.asking import ask_all, predictions
from finqa_lab.finqa.contexts import Context, gold, retrieved
from finqa_lab.finqa.endpoint import Endpoint
from finqa_lab.finqa.prompts import messages
from finqa_lab.finqa.scoring import score
from finqa_lab.finqa.splits import Split
from finqa_lab.retrieve.reranker import train_reranker

FACTS = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this section."""
    group = parser.add_argument_group("endpoint")
    group.add_argument("--url", help="base address, such as http://127.0.0.1:8000/v1")
    group.add_argument("--model", help="name that the server knows the model by")
    group.add_argument("--api-key-env", help="environment variable that holds the key")
    group.add_argument("--examples", type=int, default=2, help="answered training questions in the prompt")
    group.add_argument("--workers", type=int, default=4)
    group.add_argument("--questions", type=int, help="only the first so many; default all")
    group.add_argument("--log", type=Path, default=home() / "endpoint.jsonl", help="replies, taken up by a later run")


def endpoint(train: Split, split: Split, arguments: argparse.Namespace) -> dict:
    """Execution accuracy as a stratified estimate, structure errors, replies that were no program."""
    if not (arguments.url and arguments.model):
        raise CourseError("the endpoint section needs --url and --model")
    server = Endpoint(arguments.url, arguments.model, arguments.api_key_env)
    with_gold = [record for record in train.records if record.gold_facts and record.program]
    shown = [(record, gold(record)) for record in with_gold[: arguments.examples]]
    records = [record for record in split.records if record.gold_facts][: arguments.questions]
    reranker = train_reranker(with_gold)
    contexts: dict[str, dict[str, Context]] = {
        "gold facts": {record.id: gold(record) for record in records},
        "retrieved": {
            record.id: retrieved(record, reranker.rank(record.question, record.page), FACTS) for record in records
        },
    }
    report = {"model": arguments.model, "questions": len(records), "examples": len(shown), "facts": FACTS}
    for name, by_id in contexts.items():
        prompts = {record.id: messages(record.question, by_id[record.id], examples=shown) for record in records}
        with tqdm(total=len(prompts), desc=name, unit="question") as bar:
            answers = ask_all(server, prompts, arguments.log, arguments.workers, lambda answered: bar.update())
        card = score(predictions(answers), records)
        values = {outcome.id: float(outcome.execution) for outcome in card.outcomes}
        estimate = split.strata.mean(values)
        failures = Counter(str(one.reply.failure) for one in answers if one.reply.failure is not None)
        failed = sum(one.completion.error is not None for one in answers)
        print(f"endpoint {arguments.model}, {name}: {estimate} %\n{card.summary()}")
        print(f"  replies without a program: {dict(failures) or 'none'}; requests that failed: {failed}")
        report[name] = {"execution": round(estimate.value, 4), "half_interval": round(estimate.half, 4)}
        report[name] |= {"structure_errors": round(card.structure_errors().value, 4), "failed_requests": failed}
        report[name] |= {"without_program": dict(failures)}
    return report
