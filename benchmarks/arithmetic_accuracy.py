"""Train the arithmetic recipes and count their errors over all 1,500,500 problems.

Usage: ``OMP_NUM_THREADS=1 python benchmarks/arithmetic_accuracy.py [--rows main fixed text] [--seeds 0 1 2]``.
Prints a table, one line a run as it finishes, then one JSON line. All times are CPU-seconds of one thread.
"""

import argparse
import json
import platform
import sys

import torch

from finqa_lab.arithmetic.evaluation import evaluate
from finqa_lab.arithmetic.recipes import RECIPES, recipe_named
from finqa_lab.arithmetic.training import train_recipe

CLAIM = {
    "recipe": "public reference implementation (its own report, not measured here)",
    "parameters": 1_066_768,
    "data": "fixed set of 40,044, unpadded text",
    "training_cpu_seconds": 53 * 60,
    "accuracy_on_its_5006_test_problems": 0.9844,
}


def measure(name: str, seed: int) -> dict:
    """Train one recipe with one seed and evaluate it exhaustively."""
    recipe = recipe_named(name)
    run = train_recipe(recipe, seed)
    result = evaluate(run.model, recipe.task(seed).spelling)
    return {
        "recipe": name,
        "format": recipe.spelling,
        "seed": seed,
        "parameters": run.model.parameter_count(),
        "data": f"fixed set of {recipe.rows:,}" if recipe.rows else "drawn as it trains",
        "sampler": recipe.sampler,
        "steps": run.step,
        "training_cpu_seconds": round(run.cpu_seconds, 1),
        "exhaustive_wrong": result.total_wrong,
        "heldout_asked": result.held_out_asked,
        "heldout_wrong": result.held_out_wrong,
        "evaluation_cpu_seconds": round(result.cpu_seconds, 1),
        **{f"rate_{kind}": rate for kind, rate in result.rates().items()},
    }


def main() -> int:
    """Run the rows asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", nargs="+", default=["main", "fixed", "text", "small", "tiny"], choices=list(RECIPES))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    head = ("recipe", "format", "parameters", "data", "sampler", "seed", "train CPU-s", "wrong of 1,500,500")
    print("| " + " | ".join(head) + " | held-out wrong | evaluation CPU-s |", flush=True)
    print("|---" * 10 + "|", flush=True)
    results = []
    for name in arguments.rows:
        for seed in arguments.seeds:
            row = measure(name, seed)
            results.append(row)
            cells = (
                name, row["format"], f"{row['parameters']:,}", row["data"], row["sampler"], seed,
                row["training_cpu_seconds"], row["exhaustive_wrong"],
                f"{row['heldout_wrong']} of {row['heldout_asked']:,}", row["evaluation_cpu_seconds"],
            )  # fmt: skip
            print("| " + " | ".join(str(cell) for cell in cells) + " |", flush=True)
    print("\nClaimed by a public reference implementation, for comparison (not measured here): 98.44% of its own 5,006")
    print("test problems, 1,066,768 parameters, about 53 CPU-minutes of training on 40,044 problems.\n")
    machine = {"python": platform.python_version(), "torch": torch.__version__, "threads": 1}
    print(json.dumps({"benchmark": "arithmetic_accuracy", "rows": results, "claim": CLAIM, "machine": machine}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
