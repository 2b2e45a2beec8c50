"""``finqa-lab train``: fine-tune a model on conversations, on one process or, under ``torchrun``, on several.

One process, two on this machine, and the entry point of a cloud training job are the same command::

    finqa-lab train --model data/models/finqa-tiny --data quantitative:program --out runs/program
    torchrun --nproc-per-node 2 -m finqa_lab.cli train --model ... --data ... --out ... --strategy fsdp
    torchrun --nproc-per-node 8 finqa_lab/cli/train.py --config job.json --device cuda

A setting comes from the command line, else from ``--config``, else from a variable that Amazon SageMaker sets in a
training container (its documentation, "Environment variables"), else it has its default.
"""

import os
import sys
from pathlib import Path

VARIABLES = {"model": "SM_CHANNEL_MODEL", "data": "SM_CHANNEL_TRAINING", "validation": "SM_CHANNEL_VALIDATION",
             "out": "SM_MODEL_DIR"}  # fmt: skip
"""Settings and the variables that stand for them: folders of the input channels, and where the result is fetched."""


def add_parser(subparsers) -> None:
    """Register ``train``."""
    parser = subparsers.add_parser("train", help="fine-tune a model on conversations; can be resumed and distributed")
    _add_arguments(parser)
    parser.set_defaults(run=train)


def train(arguments) -> int:
    """Fine-tune; 0 when the result was written or the asked-for step was reached."""
    from finqa_lab.tune.distributed.ranks import open_ranks
    from finqa_lab.tune.job import fine_tune

    settings = settings_of(arguments)
    with open_ranks(settings.device) as ranks, _Progress(ranks.first) as progress:
        facts = fine_tune(
            settings, ranks, until=arguments.until, on_stage=progress.on_stage, on_step=progress.on_step
        )  # fmt: skip
    if ranks.first:
        print(facts["samples"])
        shape = f"{facts['parameters']['trained']:,} trained parameters, {facts['ranks']} ranks"
        loss = f", last loss {facts['losses'][-1]:.4f}" if facts["losses"] else ""
        print(f"{facts['written']}: {facts['steps']} steps, {facts['tokens']:,} positions, {shape}{loss}")
        for step, loss in facts["validation"][-3:]:
            print(f"  validation after {step} steps: {loss:.4f} nats a token")
    return 0


def settings_of(arguments):
    """Settings of the parsed command line, the config and the environment, in this order."""
    from finqa_lab.errors import CourseError
    from finqa_lab.files import read_json
    from finqa_lab.tune.settings import settings_from

    given = {name: value for name, value in vars(arguments).items() if name.startswith("setting_")}
    values = {name.removeprefix("setting_"): value for name, value in given.items()}
    config = read_json(arguments.config, "the config of the job") if arguments.config else {}
    if not isinstance(config, dict):
        raise CourseError(f'{arguments.config} holds no JSON object with named settings; write {{"model": "..."}}')
    environment = {name: os.environ[variable] for name, variable in VARIABLES.items() if os.environ.get(variable)}
    return settings_from({**environment, **config, **values})


def _add_arguments(parser) -> None:
    import argparse
    import dataclasses
    from typing import get_args, get_origin, get_type_hints

    from finqa_lab.tune.settings import Settings

    kinds = get_type_hints(Settings)
    for one in dataclasses.fields(Settings):
        kind, more = kinds[one.name], {}
        if kind is bool:  # a cloud job passes every setting with a value
            more = {"type": _boolean, "nargs": "?", "const": True, "metavar": "true|false"}
        elif get_args(kind) and get_origin(kind) is not tuple:
            more = {"choices": get_args(kind)}
        else:
            more = {"type": kind if kind in (int, float) else str, "metavar": one.name.upper()}
        default = ",".join(one.default) if isinstance(one.default, tuple) else one.default
        shown = "" if default in ("", False) else f" (default {default})"
        flags = dict.fromkeys([f"--{one.name.replace('_', '-')}", f"--{one.name}"])
        parser.add_argument(
            *flags, dest=f"setting_{one.name}", default=argparse.SUPPRESS, help=one.metadata["help"] + shown, **more
        )
    parser.add_argument("--config", type=Path, metavar="FILE.json", help="settings by name; the command line wins")
    parser.add_argument("--until", type=int, metavar="STEP", help="stop there; the same command goes on")


def _boolean(text: str) -> bool:
    import argparse

    if text.lower() in ("true", "1", "yes", "false", "0", "no"):
        return text.lower() in ("true", "1", "yes")
    raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")


class _Progress:
    """A bar on a terminal, a line every 50 steps in a log file; nothing on the ranks that do not speak."""

    def __init__(self, speaks: bool):
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._speaks = speaks
        self._progress = Progress(*columns, transient=True, disable=not speaks)
        self._bar = self._progress.add_task("starting", total=None)

    def __enter__(self):
        self._progress.start()
        return self

    def __exit__(self, *exc):
        self._progress.stop()

    def on_stage(self, name: str) -> None:
        self._progress.update(self._bar, description=name)

    def on_step(self, run) -> None:
        self._progress.update(self._bar, completed=run.step, description=f"training, loss {run.losses[-1]:.3f}")
        if self._speaks and not self._progress.console.is_terminal and run.step % 50 == 0:
            mean = sum(run.losses[-50:]) / len(run.losses[-50:])
            print(f"step {run.step}: loss {mean:.4f}, {run.tokens:,} positions", flush=True)


if __name__ == "__main__":
    from finqa_lab.cli import main

    sys.exit(main(["train", *sys.argv[1:]]))
