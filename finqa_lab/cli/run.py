"""``finqa-lab run``: execute labs, hold their metrics to the golden bounds, write the report."""

import argparse
import sys
from pathlib import Path


def add_parser(subparsers) -> None:
    """Register ``run``."""
    parser = subparsers.add_parser("run", help="execute solution notebooks and compare their metrics")
    parser.add_argument("labs", nargs="*", metavar="LAB", help="lab name or number; default: all")
    parser.add_argument("--profile", default="smoke", help="smoke (default), cpu or gpu")
    parser.add_argument("-p", dest="assignments", action="append", default=[], metavar="NAME=VALUE",
                        help="override a parameter; may be repeated")  # fmt: skip
    parser.add_argument("--jobs", type=int, default=2, help="labs at the same time (default 2)")
    parser.add_argument("--timeout", type=float, default=1800.0, help="wall-clock seconds a lab (default 1800)")
    parser.add_argument(
        "--resume", action="store_true", help="skip labs whose inputs have not changed since they passed"
    )
    parser.add_argument("--keep-going", action=argparse.BooleanOptionalAction, default=True,
                        help="run the rest after a failure (default); --no-keep-going stops")  # fmt: skip
    parser.add_argument("--out", type=Path, help="folder for executed notebooks and reports")
    parser.add_argument(
        "--update-golden", action="store_true", help="take the recorded metrics as the new golden values"
    )
    parser.set_defaults(run=run)


def run(arguments) -> int:
    """Run the labs; 0 when all passed."""
    from finqa_lab.cli.progress import LabProgress
    from finqa_lab.course import report, runner
    from finqa_lab.errors import CourseError

    if arguments.update_golden and (arguments.profile != "smoke" or arguments.assignments):
        raise CourseError("--update-golden takes the smoke profile without -p: the golden bounds describe that run")
    jobs = runner.plan(arguments.labs, arguments.profile, arguments.assignments, arguments.out, arguments.timeout)
    with LabProgress(jobs) as progress:
        results = runner.run(
            jobs, arguments.jobs, arguments.resume, arguments.keep_going, progress.on_event,
            hold_bounds=not arguments.update_golden,
        )  # fmt: skip
    _print_results(results)
    if arguments.update_golden:
        _update_golden(results)
    report.write(results, jobs[0].out)
    print(f"report: {jobs[0].out / 'report.md'}")
    return 0 if all(result.status == "passed" for result in results) else 1


def _print_results(results) -> None:
    from dataclasses import asdict

    from rich.console import Console
    from rich.table import Table

    from finqa_lab.course import report

    console = Console(width=None if sys.stdout.isatty() else 120, highlight=False)
    table = Table("lab", "metric", "value", "unit", "bound")
    for result in results:
        for row in report.metric_rows(asdict(result)):
            table.add_row(result.lab, *row)
    if table.rows:
        console.print(table)
    for result in results:
        note = " (reused: inputs unchanged)" if result.resumed else ""
        console.print(
            f"{result.lab}: {result.status}{note}, {result.seconds:.1f} s wall, {result.cpu_seconds:.1f} s CPU",
            markup=False,
        )
        if result.status == "failed":
            console.print(f"  {result.reason}" + (f" in cell '{result.cell}'" if result.cell else ""), markup=False)
            console.print(f"{result.detail}", markup=False)


def _update_golden(results) -> None:
    from datetime import date

    from finqa_lab.course import golden, report, timing

    for result in results:
        if result.status != "passed":
            print(f"{result.lab}: not passed, its golden file is unchanged")
            continue
        changes = golden.update(result.lab, result.metrics, result.profile)
        taken = (result.loops, result.cpu_seconds, result.seconds, report.hardware(), date.today().isoformat())
        changes += [line for line in [timing.update(result.lab, *taken)] if line]
        print(f"{golden.path(result.lab)}: {len(changes)} changed")
        for line in changes:
            print(f"  {line}")
