"""Extensions of the arithmetic task, trained and measured: a table, then one JSON line.

    OMP_NUM_THREADS=1 python benchmarks/arithmetic_extensions.py [--only NAME ...] [--seed 0] [--scale 1.0]

Every model is trained on one thread with problems drawn on the fly, a tenth of them held out by hash. CPU s is training
alone. ``--scale 0.1 --share 0.01`` shortens training and evaluation, to see it run.
"""

import argparse
import json
import time
from dataclasses import asdict

import torch

from finqa_lab.arithmetic.extensions.studies import STUDIES, Row
from finqa_lab.course.report import hardware


def line(row: Row) -> str:
    """One row of the table, aligned."""
    apart = f"{row.held_out_wrong:>7,} of {row.held_out_asked:>9,}" if row.held_out_asked else f"{'none asked':>20}"
    return (
        f"{row.task:<50} {row.asked:<18} {row.parameters:>8,} {row.cpu_seconds:>7.1f} "
        f"{row.wrong:>8,} of {row.asked_count:>9,}  {apart}"
    )


def main() -> None:
    """Run the studies and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=STUDIES, default=list(STUDIES))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--scale", type=float, default=1.0, help="of the training steps")
    parser.add_argument("--share", type=float, default=1.0, help="of the problems asked")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{'task':<50} {'asked':<18} {'params':>8} {'CPU s':>7} {'wrong':>21}  {'held out, wrong':>20}")
    rows = []
    for name in arguments.only:
        for row in STUDIES[name](arguments.seed, arguments.scale, arguments.share):
            rows.append(asdict(row))
            print(line(row), flush=True)
    report = {"benchmark": "arithmetic_extensions", "date": time.strftime("%Y-%m-%d"), "hardware": hardware()}
    settings = {"seed": arguments.seed, "scale": arguments.scale, "share": arguments.share}
    print(json.dumps(report | settings | {"rows": rows}))


if __name__ == "__main__":
    main()
