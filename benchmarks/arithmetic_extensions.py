"""Extensions of the arithmetic task, trained and measured: a table, then one JSON line.

    OMP_NUM_THREADS=1 python benchmarks/arithmetic_extensions.py [--only NAME ...] [--seed 0] [--scale 1.0]

Every model is trained on one thread with problems drawn on the fly, a tenth of them held out by hash. ``cpu_s`` is
training alone. ``--scale 0.1`` shortens every training to a tenth, to see it run.
"""

import argparse
import json
import sys
import time

import numpy as np
import torch
from rich.progress import Progress

from finqa_lab.arithmetic.evaluation import evaluate
from finqa_lab.arithmetic.extensions.division import DIVISORS, Division
from finqa_lab.arithmetic.extensions.lengths import LongSums, exact_by_length
from finqa_lab.arithmetic.extensions.oversampling import Oversampled
from finqa_lab.arithmetic.extensions.signed import SignedDifference
from finqa_lab.arithmetic.extensions.written import WrittenTask, score
from finqa_lab.arithmetic.formats import FORMATS
from finqa_lab.arithmetic.recipes import RECIPES, Optimisation
from finqa_lab.arithmetic.training import start_run, train
from finqa_lab.course.report import hardware
from finqa_lab.nn.config import DecoderConfig
from finqa_lab.nn.transformer import Decoder


def fit(task, config: DecoderConfig, plan: Optimisation, seed: int, label: str):
    """Train a decoder of the given shape; returns the run."""
    run = start_run(task, Decoder(config, seed=seed), plan, seed)
    with Progress(transient=True, disable=not sys.stdout.isatty()) as bar:
        line = bar.add_task(label, total=plan.steps)
        train(task, run, plan, on_step=lambda _: bar.advance(line))
    return run


def shape(task: WrittenTask, width: int, layers: int, heads: int = 4) -> DecoderConfig:
    """A decoder that fits the task's rows."""
    return DecoderConfig(task.vocabulary, width, layers, heads, 4 * width, task.length)


def signed(seed: int, scale: float) -> list[dict]:
    """All 1,000,000 signed differences, with the scratchpad and without."""
    rows = []
    for scratchpad, steps in ((False, 3000), (True, 1500)):
        task = SignedDifference(scratchpad)
        run = fit(task, shape(task, 64, 2), flat(steps * scale), seed, task.name)
        rows.append(row(task, run, score(run.model, task, np.arange(task.space))))
    return rows


def division(seed: int, scale: float) -> list[dict]:
    """Quotient and remainder; asked for a sample of 50,000 pairs and apart for small divisors."""
    rows = []
    for scratchpad, steps, batch in ((False, 4000, 256), (True, 3000, 128)):
        task = Division(scratchpad)
        run = fit(task, shape(task, 64, 3), flat(steps * scale, batch), seed, task.name)
        rng = np.random.default_rng([seed, 3])
        uniform = rng.integers(0, task.space, 50_000)
        small = rng.integers(0, 1000, 20_000) * DIVISORS + rng.integers(1, 100, 20_000) - 1
        rows.append(row(task, run, score(run.model, task, uniform)) | {"asked": "50,000 uniform pairs"})
        rows.append(row(task, run, score(run.model, task, small)) | {"asked": "20,000 with a divisor below 100"})
    return rows


def lengths(seed: int, scale: float) -> list[dict]:
    """Sums of up to 10 digits after training on up to 3 and up to 5."""
    rows = []
    for digits, steps in ((3, 2500), (5, 2500)):
        task = LongSums(digits)
        run = fit(task, task.decoder(), flat(steps * scale), seed, f"sums to {digits} digits")
        exact = exact_by_length(run.model, 2000, seed)
        rows.append(
            {
                "task": f"sums, trained to {digits} digits",
                "parameters": run.model.parameter_count(),
                "cpu_s": round(run.cpu_seconds, 1),
                "asked": "2,000 a length",
                "exact_by_digits": exact,
            }
        )
    return rows


def oversampling(seed: int, scale: float) -> list[dict]:
    """The main recipe cut to 600 steps, with and without half of each batch drawn from the hard cases."""
    rows, recipe = [], RECIPES["main"].changed(steps=max(1, round(600 * scale)), warmup=min(100, round(100 * scale)))
    for share in (0.0, 0.25, 0.5):
        task = Oversampled(FORMATS["reversed"], share)
        run = fit(task, recipe.decoder(task), recipe.optimisation, seed, f"oversampling {share:g}")
        found = evaluate(run.model, task.spelling)
        rows.append(
            {
                "task": f"sums and differences, 600 steps, {share:.0%} hard cases",
                "parameters": run.model.parameter_count(),
                "cpu_s": round(run.cpu_seconds, 1),
                "asked": f"all {found.total:,}",
                "wrong": found.total_wrong,
                "held_out_asked": found.held_out_asked,
                "held_out_wrong": found.held_out_wrong,
            }
        )
    return rows


def flat(steps: float, batch: int = 256) -> Optimisation:
    """AdamW, warm-up, flat, linear decay over the last 40%."""
    steps = max(2, round(steps))
    return Optimisation(steps, batch=batch, lr=4e-3, schedule="flat", warmup=min(100, steps // 2))


def row(task, run, found) -> dict:
    """One line of the table."""
    return {
        "task": task.name,
        "parameters": run.model.parameter_count(),
        "cpu_s": round(run.cpu_seconds, 1),
        "asked": f"{found.asked:,}",
        "wrong": found.wrong,
        "held_out_asked": found.held_out_asked,
        "held_out_wrong": found.held_out_wrong,
    }


PARTS = {"signed": signed, "division": division, "lengths": lengths, "oversampling": oversampling}


def main() -> None:
    """Run the parts and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--scale", type=float, default=1.0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for name in arguments.only:
        for line in PARTS[name](arguments.seed, arguments.scale):
            rows.append(line)
            print(", ".join(f"{key} {value}" for key, value in line.items()), flush=True)
    date = time.strftime("%Y-%m-%d")
    report = {"benchmark": "arithmetic_extensions", "date": date, "hardware": hardware(), "seed": arguments.seed}
    print(json.dumps(report | {"scale": arguments.scale, "rows": rows}))


if __name__ == "__main__":
    main()
