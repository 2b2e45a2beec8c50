"""FinQA, measured: executor, scoring, retrieval in a report and over all, the small generator, any endpoint.

    OMP_NUM_THREADS=1 python benchmarks/finqa.py --data FOLDER --split dev
    OMP_NUM_THREADS=1 python benchmarks/finqa.py --data FOLDER --split test --train-on train dev
    OMP_NUM_THREADS=1 python benchmarks/finqa.py --only endpoint --url http://127.0.0.1:8000/v1 --model NAME

FOLDER holds train.json, dev.json, test.json in the official schema (default: where `finqa-lab data fetch finqa` puts
them); of use where they are: reports.json (more pages to search), SPLIT_strata.json (which questions of an incomplete
split stand for how many), SPLIT_programs.json (programs without report texts). `--data generated` takes the shipped
reports. Figures are means over the split; with strata, estimates for the whole split. Intervals are 95%, of the
questions, not of the training. About fifteen minutes on one core. Tables, then one line of JSON; `--json` also writes
it to a file, from which the book's results page is made; sections of an earlier report on the same data stay in it.
"""

import argparse
import json
import sys
import time
from dataclasses import replace
from pathlib import Path

import finqa_endpoint
import finqa_generator
import finqa_programs
import finqa_retrieval

from finqa_lab.course.report import hardware
from finqa_lab.errors import CourseError
from finqa_lab.files import home, read_json, write_atomic
from finqa_lab.finqa.pages import Page
from finqa_lab.finqa.records import Records, read_records
from finqa_lab.finqa.splits import Split, read_corpus, read_split, whole
from finqa_lab.finqa.synthetic.reports import load_reports

HEAD = ("benchmark", "hardware", "data", "split", "questions", "train", "pages", "train_on")
SECTIONS = ("executor", "scoring", "within", "corpus", "latency", "ladder", "generator", "endpoint")


def split_of(folder: str, name: str) -> Split:
    """A split of a folder, or of the shipped reports."""
    if folder != "generated":
        return read_split(folder, name)
    records = tuple(load_reports(name))
    return Split(name, Records(records, ()), whole([record.id for record in records]))


def merged(parts: list[Split]) -> Split:
    """Several splits as one, each question weighing the same."""
    records = tuple(record for part in parts for record in part.records)
    problems = tuple(problem for part in parts for problem in part.read.problems)
    name = "+".join(part.name for part in parts)
    return Split(name, Records(records, problems), whole([record.id for record in records]))


def programs_of(folder: str, name: str, known: Split) -> Split | None:
    """Questions that are known by their program and table alone; None without such a file."""
    path = Path(folder) / f"{name}_programs.json"
    if not path.is_file():
        return None
    read = read_records(path)
    ids = {record.id for record in known.records}
    rest = replace(read, records=tuple(record for record in read.records if record.id not in ids))
    return Split(f"{name} (programs only)", rest, whole([record.id for record in rest.records]))


def main() -> None:
    """Run the sections and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default=str(home() / "finqa"), help="folder, or `generated`")
    parser.add_argument("--split", default="dev")
    parser.add_argument("--train-on", nargs="+", default=["train"])
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=list(SECTIONS[:-1]))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=1, help="trainings of the generator")
    parser.add_argument("--json", type=Path)
    finqa_endpoint.add_arguments(parser)
    arguments = parser.parse_args()
    if arguments.split in arguments.train_on:
        parser.error(f"--split {arguments.split} is also trained on; measure on another one")
    try:
        report = measure(arguments)
    except CourseError as error:
        sys.exit(f"error: {error}")
    if arguments.json:
        earlier = read_json(arguments.json, "the earlier report") if arguments.json.is_file() else {}
        if all(earlier.get(field) == report[field] for field in HEAD):
            report = earlier | report
        write_atomic(arguments.json, json.dumps(report, indent=1) + "\n")
    line = json.dumps(report)
    print(line)


def measure(arguments: argparse.Namespace) -> dict:
    """The report of the sections that are asked for."""
    split = split_of(arguments.data, arguments.split)
    parts = [split_of(arguments.data, name) for name in arguments.train_on]
    train = merged(parts)
    pages: dict[str, Page] = read_corpus(arguments.data, train, split)
    extra = [programs_of(arguments.data, part.name, part) for part in (*parts, split)]
    print(f"{split.name}: {split.read.summary()}; trained on {train.name}: {train.read.summary()}; {len(pages)} pages")
    report = {"benchmark": "finqa", "date": time.strftime("%Y-%m-%d"), "hardware": hardware()}
    report |= {"data": "generated" if arguments.data == "generated" else "public", "split": split.name}
    report |= {"questions": len(split.records), "train": len(train.records), "pages": len(pages)}
    report |= {"estimate": len(split.strata.shares) > 1, "train_on": train.name}
    for name in arguments.only:
        begin = time.process_time()
        match name:
            case "executor":
                report[name] = finqa_programs.executor([train, split, *(part for part in extra if part)])
            case "scoring":
                all_of_split = merged([split, *(part for part in extra[-1:] if part)])
                report[name] = finqa_programs.scoring(all_of_split, arguments.repeats)
            case "generator":
                known = merged([train, *(part for part in extra[:-1] if part)])
                report[name] = finqa_generator.generator(known, split, arguments.seeds)
            case "endpoint":
                report[name] = finqa_endpoint.endpoint(train, split, arguments)
            case _:
                report[name] = getattr(finqa_retrieval, name)(train, split, pages, arguments.repeats)
        report[name]["cpu_s"] = round(time.process_time() - begin, 1)
    return report


if __name__ == "__main__":
    main()
