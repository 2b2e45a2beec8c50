"""What the planted induction head does: the base model's first steps with it and without it, all else equal.

    OMP_NUM_THREADS=1 python benchmarks/planting.py [--steps 200] [--out benchmarks/results/planting.json]

Each model is built by :func:`finqa_lab.pretrain.build.build` with the recipe of ``finqa-tiny``, shortened. Measured on
both: the loss of the last 20 steps, how much easier the second of two equal runs of random tokens is
(:func:`finqa_lab.pretrain.planting.repetition_gain`), and the share of unseen lists of names that are repeated to the
letter. About 2.4 CPU-seconds a step and model.
"""

import argparse
import json
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch

from finqa_lab.course.report import hardware
from finqa_lab.files import write_atomic
from finqa_lab.nn.hub import load_pretrained
from finqa_lab.pretrain.build import build
from finqa_lab.pretrain.knowledge import knowledge
from finqa_lab.pretrain.planting import repetition_gain
from finqa_lab.pretrain.recipe import recipe_named

QUESTIONS = 100


def measure(steps: int, planted: bool, seed: int, folder: Path) -> dict:
    """Build one model, and ask it."""
    recipe = replace(recipe_named("finqa-tiny-1", steps), planted=planted)
    facts = build(recipe, seed, folder)
    model = load_pretrained(folder / "model")
    known = knowledge(model.model, model.tokenizer, QUESTIONS)
    return {
        "planted": planted,
        "loss": round(sum(facts["losses"][-20:]) / 20, 4),
        "repetition_gain": round(repetition_gain(model.model), 3),
        "known": {name: rate.hits for name, rate in known.items()},
        "cpu_seconds": facts["cpu_seconds"],
    }


def main() -> None:
    """Measure both, print, and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for planted in (False, True):
        with tempfile.TemporaryDirectory() as name:
            rows.append(measure(options.steps, planted, options.seed, Path(name) / "build"))
        print(rows[-1], flush=True)
    report = {"benchmark": "planting", "date": time.strftime("%Y-%m-%d"), "hardware": hardware()}
    report |= {"steps": options.steps, "seed": options.seed, "questions": QUESTIONS, "rows": rows}
    if options.out:
        write_atomic(options.out, json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
