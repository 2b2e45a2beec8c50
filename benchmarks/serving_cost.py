"""The cost model of benchmarks/serving.py: a step model fitted to one workload, and its error on the curve of another.

    OMP_NUM_THREADS=1 python benchmarks/serving_cost.py finqa-tiny 1 2 4 8 16

Steps of the engine are timed without HTTP, in processor time, the least of three repetitions each. The last line
printed is JSON.
"""

import json
import random
import sys
import time
from dataclasses import asdict

import torch

from finqa_lab.nn.layout import column_major
from finqa_lab.serve.engine import Engine, EngineSettings
from finqa_lab.serve.simulate.calibrate import calibrate
from finqa_lab.serve.simulate.machine import StepModel
from finqa_lab.serve.simulate.measuring import Measured, measure_closed
from finqa_lab.serve.simulate.virtual import Asked, play
from finqa_lab.tune.base import load_base

FITTED_AT = (1, 2, 3, 4, 8, 16)
SETTINGS = EngineSettings(prefix_cache=False)


def workload(seed: int, count: int) -> list[Asked]:
    """Prompts of 40 to 220 tokens, replies of 12 to 40."""
    rng = random.Random(seed)
    lengths = [(rng.randint(40, 220), rng.randint(12, 40)) for _ in range(count)]
    return [Asked(tuple(rng.randint(0, 2000) for _ in range(prompt)), reply) for prompt, reply in lengths]


def measured(model, requests: list[Asked], concurrency: int) -> Measured:
    """Steps of a closed loop."""
    return measure_closed(lambda: Engine(model, SETTINGS), requests, concurrency, repeats=3, clock=time.process_time)


def numbers(model: StepModel) -> dict:
    """For JSON; a ceiling that no step meets is None."""
    return {key: None if value == float("inf") else float(f"{value:.4g}") for key, value in asdict(model).items()}


def main() -> None:
    """Fit, predict, compare."""
    torch.set_num_threads(1)
    model = column_major(load_base(sys.argv[1]).model, wide=False)  # as the server does
    concurrencies = list(map(int, sys.argv[2:]))
    fitted_on, asked = workload(1, 12), workload(2, 16)
    steps = [step for count in FITTED_AT for step in measured(model, fitted_on, count).steps]
    curve = {count: measured(model, asked, count).tokens_a_second for count in concurrencies}
    found = {"measured": {count: round(rate, 1) for count, rate in curve.items()}}
    for name, overheads in (("roofline and overheads", True), ("bare roofline", False)):
        fit = calibrate(steps, overheads)
        said = {count: play(fit.model, model.config, asked, concurrency=count, settings=SETTINGS) for count in curve}
        rates = {count: played.tokens_a_second for count, played in said.items()}
        found[name] = {
            "model": numbers(fit.model),
            "mean_error_of_steps": round(fit.error, 3),
            "predicted": {count: round(rate, 1) for count, rate in rates.items()},
            "largest_error_of_curve": round(max(abs(rates[count] / curve[count] - 1) for count in curve), 3),
        }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
