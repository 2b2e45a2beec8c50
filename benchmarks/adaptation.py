"""Adaptation, measured: the base, LoRA that answers with a number, LoRA that writes a program, and all parameters.

    OMP_NUM_THREADS=1 python benchmarks/adaptation.py --json benchmarks/results/adaptation.json
    OMP_NUM_THREADS=1 python benchmarks/adaptation.py --only rates

Data: `finqa_lab.quantitative`, 900 samples to train on, 300 with unseen parameters, 300 with unseen phrasings too. Each
section is a list of rows with settings, shares within 1% by task and split, trained numbers, bytes and CPU-seconds. One
thread; every row loads the base anew. Tables, then one line of JSON.
"""

import argparse
import json
import sys
from dataclasses import replace
from datetime import date

import torch

from finqa_lab.course.report import hardware
from finqa_lab.errors import CourseError
from finqa_lab.files import write_atomic
from finqa_lab.pretrain.forgetting import genre_losses
from finqa_lab.quantitative.dataset import NUMERIC, Splits, dataset
from finqa_lab.tune.adaptation import ROOM, Settings, adapt, answer, encode_samples
from finqa_lab.tune.base import load_base
from finqa_lab.tune.lora import LoRAConfig

SECTIONS = ("base", "number", "program", "reasoning", "full", "rates", "ranks", "targets", "samples")
NUMBER_EPOCHS = 12.0
"""A number is an eighth of a program: an epoch costs half as much, and more of them fit the same time."""


def measured(name: str, model: str, splits: Splits, settings: Settings | None, train: int, asked: int) -> dict:
    """One row: train on the first ``train`` samples (not at all without settings), ask the others."""
    base = load_base(model)
    target = "number" if settings is None else settings.target
    before = genre_losses(base.model, base.tokenizer)
    row: dict = {"name": name, "target": target, "samples": train if settings else 0}
    if settings is None:
        limit = max(len(e.answer) for e in encode_samples(base, splits.train, target).examples) + ROOM
    else:
        adapted = adapt(base, splits.train[:train], settings, on_step=lambda run: _show(name, run))
        limit = max(len(e.answer) for e in encode_samples(base, splits.train, target).examples) + ROOM
        row |= {
            "rank": settings.lora.rank if settings.lora else None,
            "targets": list(settings.lora.targets) if settings.lora else None,
            "lr": settings.plan(train).lr,
            "epochs": settings.epochs,
            "seed": settings.seed,
            "steps": adapted.run.step,
            "cpu_seconds": round(adapted.run.cpu_seconds, 1),
            "trained": adapted.trained_parameters,
            "optimizer_bytes": int(adapted.floor.optimizer),
            "floor_bytes": int(adapted.floor.total),
            "loss": round(sum(adapted.run.losses[-20:]) / len(adapted.run.losses[-20:]), 4),
        }
        after = genre_losses(base.model, base.tokenizer)
        row["forgetting"] = {genre: round(after[genre] - before[genre], 4) for genre in before}
    for split in ("validation", "phrasing"):
        samples = getattr(splits, split)[:asked]
        _, scores = answer(base, samples, target, limit)
        numeric = [o for o in scores.outcomes if o.task in NUMERIC]
        row[split] = {
            "asked": len(samples),
            "within": scores.rate("within").hits,
            "exact": scores.rate("exact").hits,
            "structure": scores.rate("structure").hits,
            "numeric": [sum(o.within for o in numeric), len(numeric)],
            "tasks": {
                task: [scores.rate("within", task).hits, scores.rate("within", task).total]
                for task in sorted(scores.tasks)
            },
        }
        print(f"{name}, {split}: within 1% {scores.rate('within')}; numeric {row[split]['numeric']}", flush=True)
    return row


def section(name: str, model: str, splits: Splits, seeds: int, asked: int) -> list[dict]:
    """The rows of a section."""
    program, every = Settings(), len(splits.train)
    number = Settings(target="number", epochs=NUMBER_EPOCHS)
    runs: list[tuple[str, Settings | None, int]] = []
    if name == "base":
        runs = [("base", None, 0)]
    elif name == "number":
        runs = [(f"number, seed {seed}", replace(number, seed=seed), every) for seed in range(seeds)]
    elif name == "program":
        runs = [(f"program, seed {seed}", replace(program, seed=seed), every) for seed in range(seeds)]
    elif name == "reasoning":
        runs = [("reasoning", Settings(target="reasoning"), every)]
    elif name == "full":
        runs = [("all parameters, program", replace(program, lora=None), every)]
        runs += [("all parameters, number", replace(number, lora=None), every)]
    elif name == "rates":
        runs = [(f"rate {lr:g}", replace(program, lr=lr, epochs=2), every) for lr in (5e-4, 1e-3, 2e-3, 4e-3)]
    elif name == "ranks":
        runs = [
            (f"rank {rank}", replace(program, lora=LoRAConfig(rank, 2.0 * rank), epochs=2), every)
            for rank in (1, 4, 16, 64)
        ]
    elif name == "targets":
        sets = {"query, value": ("query", "value"), "attention": ("query", "key", "value", "output"),
                "MLP": ("gate", "up", "down")}  # fmt: skip
        runs = [
            (f"targets {n}", replace(program, lora=LoRAConfig(16, 32, t), epochs=2), every) for n, t in sets.items()
        ]
    elif name == "samples":
        steps = program.epochs * every / program.per_step
        runs = [
            (f"{count} samples", replace(program, epochs=steps * program.per_step / count), count)
            for count in (50, 150, 450)
        ]
    return [measured(label, model, splits, settings, count, asked) for label, settings, count in runs]


def _show(name: str, run) -> None:
    if run.step % 50 == 0:
        mean = sum(run.losses[-20:]) / len(run.losses[-20:])
        print(f"  {name}: step {run.step}, loss {mean:.4f}, {run.cpu_seconds:.0f} CPU-s", file=sys.stderr, flush=True)


def main(arguments: list[str] | None = None) -> int:
    """Run the sections; 0 done, 2 a mistake that the reader can mend."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="finqa-tiny")
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=["base", "number", "program", "full"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--asked", type=int, default=300, help="samples asked of each split")
    parser.add_argument("--json", help="file for the report; sections of an earlier one stay in it")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    report = {
        "benchmark": "adaptation",
        "hardware": hardware(),
        "date": date.today().isoformat(),
        "model": options.model,
    }
    try:
        if options.json:
            try:
                with open(options.json, encoding="utf-8") as file:
                    report = json.load(file) | report
            except FileNotFoundError:
                pass
        splits = dataset(0)
        for name in options.only:
            report[name] = section(name, options.model, splits, options.seeds, options.asked)
            if options.json:
                write_atomic(options.json, json.dumps(report) + "\n")
    except CourseError as error:
        print(error, file=sys.stderr)
        return 2
    print(json.dumps(report))
    return 0


if __name__ == "__main__":
    sys.exit(main())
