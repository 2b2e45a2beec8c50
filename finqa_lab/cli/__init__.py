"""The command ``finqa-lab``: one module of this folder per group of subcommands.

Each module offers ``add_parser(subparsers)``, which sets ``run=<function of the parsed arguments>`` as a default. The
modules import what they need inside their functions, so that ``finqa-lab --help`` answers at once.
"""

import argparse
import importlib
import sys

import finqa_lab
from finqa_lab.errors import CourseError

COMMANDS = (
    "run",
    "params",
    "release",
    "new-lab",
    "book",
    "slides",
    "pdf",
    "data",
    "pretrain",
    "train",
    "serve",
    "cloud",
    "registry",
    "grade",
    "doctor",
)


def build_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    parser = argparse.ArgumentParser(prog="finqa-lab", description=finqa_lab.__doc__.splitlines()[0])
    parser.add_argument("--version", action="version", version=finqa_lab.__version__)
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name in COMMANDS:
        importlib.import_module(f"finqa_lab.cli.{name.replace('-', '_')}").add_parser(subparsers)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns its exit status.

    0: done and everything held. 1: it ran, and something did not hold. 2: it could not run; one sentence says why.
    130: interrupted.
    """
    arguments = build_parser().parse_args(argv)
    try:
        return arguments.run(arguments) or 0
    except CourseError as error:
        print(f"finqa-lab: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("finqa-lab: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `finqa-lab ... | head`
        sys.stderr.close()
        return 1
