"""``python -m finqa_lab.arithmetic.training``: train a recipe, evaluate it, write a checkpoint; safe to interrupt.

Running the same command again continues from the last saved state and gives the weights an unbroken run gives.
"""

import argparse
import sys
from pathlib import Path

import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from finqa_lab.arithmetic import problems
from finqa_lab.arithmetic.evaluation import evaluate
from finqa_lab.arithmetic.recipes import RECIPES, Recipe, recipe_named
from finqa_lab.arithmetic.resume import load_state
from finqa_lab.arithmetic.training import Run, start_run, train
from finqa_lab.errors import CourseError
from finqa_lab.nn.checkpoint import save_checkpoint
from finqa_lab.nn.state import STATE_FILE, remove_state
from finqa_lab.nn.transformer import Decoder


def train_to_folder(recipe: Recipe, seed: int, out: Path, full: bool = True) -> tuple[Run, dict]:
    """Train (or continue) ``recipe`` in ``out``; leave a checkpoint there and remove the resumable state.

    Args:
        recipe: what to train.
        seed: of the weights and the data.
        out: the checkpoint folder; ``out/state`` holds the state while training.
        full: also evaluate all 1,500,500 problems and store the counts in the metadata.

    Returns:
        The finished run and the checkpoint's metadata.

    Raises:
        CourseError: when ``out`` holds a state of another recipe or seed, or a file cannot be written.
    """
    task = recipe.task(seed)
    model = Decoder(recipe.decoder(task), seed=seed)
    run = start_run(task, model, recipe.optimisation, seed)
    state = out / "state"
    owner = {"recipe": recipe.describe(), "seed": seed}
    if (state / STATE_FILE).exists():
        load_state(state, run, owner)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, transient=True) as progress:
        bar = progress.add_task("training", total=recipe.optimisation.steps, completed=run.step)

        def show(run: Run) -> None:
            progress.update(bar, completed=run.step, description=f"training, loss {run.losses[-1]:.4f}")

        train(task, run, recipe.optimisation, on_step=show, state=state, owner=owner)
        metadata = {
            **owner,
            "data": task.describe(),
            "training_cpu_seconds": round(run.cpu_seconds, 1),
            "final_loss": sum(run.losses[-50:]) / len(run.losses[-50:]),
        }
        if full:
            bar = progress.add_task("evaluating", total=problems.SPACE)
            result = evaluate(
                run.model, task.spelling, on_chunk=lambda counts: progress.update(bar, completed=counts.total)
            )
            metadata["evaluation"] = result.describe()
    save_checkpoint(out, run.model, metadata)
    remove_state(state)
    return run, metadata


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line; 0 done, 2 a mistake the reader can mend, 130 interrupted."""
    parser = argparse.ArgumentParser(prog="python -m finqa_lab.arithmetic.training", description=__doc__)
    parser.add_argument("--recipe", default="main", help=f"one of: {', '.join(RECIPES)}")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, help="another number of optimiser steps")
    parser.add_argument("--out", type=Path, required=True, help="folder for the checkpoint")
    parser.add_argument("--no-evaluation", action="store_true", help="skip the exhaustive evaluation")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    try:
        recipe = recipe_named(options.recipe)
        if options.steps is not None:
            recipe = recipe.changed(steps=options.steps)
        run, metadata = train_to_folder(recipe, options.seed, options.out, full=not options.no_evaluation)
    except CourseError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"interrupted; run the same command again to continue from {options.out / 'state'}", file=sys.stderr)
        return 130
    print(f"{options.out}: {run.model.parameter_count():,} parameters, {run.step} steps, {run.cpu_seconds:.1f} CPU-s")
    for name, value in metadata.get("evaluation", {}).items():
        print(f"  {name} = {value}")
    return 0
