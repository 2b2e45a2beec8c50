"""Build the book from the executed labs: assemble a source tree, run Jupyter Book strictly, audit the pages.

The student edition shows each lab with its outputs and figures but with the released cells, so no solution is in the
HTML or in ``_sources``; the instructor edition shows the solutions.
"""

import os
import pkgutil
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import yaml

from finqa_lab import markdown
from finqa_lab.course import (
    architecture,
    audit,
    chapter_figures,
    command_tables,
    golden,
    interactive,
    lab_pages,
    labs,
    parameters,
    settings,
    teaching,
)
from finqa_lab.course.metrics import collect, format_value
from finqa_lab.course.normalise import normalised
from finqa_lab.course.release import student_notebook
from finqa_lab.course.results import (
    adaptation,
    distributed,
    endpoint,
    finqa,
    planting,
    reports,
    retention,
    serving,
    structured,
)
from finqa_lab.errors import CourseError
from finqa_lab.files import data_path, read_json, write_atomic
from finqa_lab.finqa import card, describe

ROOMS = (
    "text",
    "nn",
    "web",
    "arithmetic",
    "finqa",
    "retrieve",
    "quantitative",
    "pretrain",
    "tune",
    "serve",
    "cloud",
    "course",
)


def build(run_folder: Path | None = None, out: Path | None = None, instructor: bool = False) -> Path:
    """Build one edition; returns the folder of the HTML.

    Args:
        run_folder: executed notebooks, as ``finqa-lab run`` leaves them; default ``_build/run/smoke``.
        out: target; default ``_build/book/student`` or ``_build/book/instructor``.
        instructor: show solutions and hidden tests.

    Raises:
        CourseError: when an executed lab is missing, Sphinx warns about anything, or the pages fail the audit.
    """
    root = labs.root()
    edition = "instructor" if instructor else "student"
    run_folder = run_folder or root / "_build" / "run" / "smoke"
    out = out or root / "_build" / "book" / edition
    source = out / "source"
    shutil.rmtree(out, ignore_errors=True)
    assemble(source, run_folder, instructor)
    html = _sphinx(source, out)
    problems = audit.problems(html, toc_pages(source / "_toc.yml"))
    if problems:
        raise CourseError(f"the {edition} book has {len(problems)} faults; the first: {problems[0]}")
    return html


def assemble(source: Path, run_folder: Path, instructor: bool) -> None:
    """Write the complete Jupyter Book source tree of one edition into ``source``."""
    root = labs.root()
    source.mkdir(parents=True)
    shutil.copytree(root / "book", source / "book", ignore=shutil.ignore_patterns("vendor", "vendor.json"))
    (source / "_extra").mkdir()
    if (root / "book" / "vendor").is_dir():
        kept = shutil.ignore_patterns("axe", "reveal")  # they look at the pages and make slides of them
        shutil.copytree(root / "book" / "vendor", source / "_extra" / "vendor", ignore=kept)
        shutil.copy(root / "book" / "widget-fonts.js", source / "_extra" / "vendor" / "widgets" / "fonts.js")
    for own in ("course.css", "course.js"):  # Jupyter Book loads every style sheet and script of _static
        if (root / "book" / own).exists():
            write_atomic(source / "_static" / own, (root / "book" / own).read_bytes())
    shutil.copy(root / "_toc.yml", source / "_toc.yml")
    config = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))
    config = _merge(_merge(config, _offline()), settings.launch().config())
    if instructor:
        config["title"] += " (instructor edition)"
    write_atomic(source / "_config.yml", yaml.safe_dump(config, sort_keys=False))
    generated = source / "book" / "_generated"
    write_fragments(generated)
    for path, text in interactive.pages().items():  # with the outputs of a page that has no kernel
        write_atomic(source / "book" / path, text)
    tables = {"parameters": [], "metrics": []}
    for lab in labs.lab_names():
        executed = _executed(run_folder / f"{lab}.ipynb", lab)
        page = _page(executed, labs.read_notebook(labs.solution_path(lab)), instructor)
        page = lab_pages.framed(page, lab, _seconds(run_folder / f"{lab}.result.json"))
        write_atomic(source / "labs" / f"{lab}.ipynb", nbformat.writes(page) + "\n")
        heading = f"## {teaching.facts(lab)['heading']}\n\n"
        tables["parameters"].append(heading + parameters.markdown_table(lab))
        tables["metrics"].append(heading + metrics_table(lab, collect(executed)))
        for cell, markup in figures_of(executed).items():  # a chapter shows a lab's figure by including this file
            write_atomic(generated / f"figure_{lab}_{cell}.md", f"```{{raw}} html\n{markup}\n```\n")
    for page, sections in tables.items():
        write_atomic(generated / f"{page}.md", "\n".join(sections))


def write_fragments(generated: Path) -> None:
    """Write what pages include and no lab has to be executed for: tables of results, cards, lists, docstrings."""
    for room in ROOMS:
        write_atomic(generated / f"api_{room}.md", api_page(room))
    records, problems = describe.load("generated", "all")
    body = card.card(describe.describe(records, problems), "").split("\n", 2)[2]  # the chapter has the heading
    write_atomic(generated / "card_generated.md", body + "\n")
    model_card = data_path("models/finqa-tiny/README.md").read_text(encoding="utf-8")
    write_atomic(generated / "card_finqa_tiny.md", model_card.split("\n", 2)[2])
    for benchmark in (adaptation, distributed, endpoint, finqa, planting, retention, serving, structured):
        for table, text in benchmark.fragments(reports.load(benchmark.NAME)).items():
            write_atomic(generated / f"results_{benchmark.__name__.rpartition('.')[2]}_{table}.md", text)
    write_atomic(generated / "settings_train.md", command_tables.train_settings())
    write_atomic(generated / "rooms.md", architecture.table())
    write_atomic(generated / "figure_rooms.md", f"```{{raw}} html\n{architecture.figure_markup()}\n```\n")
    for page, text in chapter_figures.fragments().items():
        write_atomic(generated / f"figure_{page}.md", text)
    for name, text in interactive.fragments().items():
        write_atomic(generated / f"interactive_{name}.md", text)
    write_atomic(generated / "labs_overview.md", teaching.overview_table())
    write_atomic(generated / "times.md", teaching.times_table())
    write_atomic(generated / "outcomes.md", teaching.outcomes_page())
    write_atomic(generated / "misconceptions.md", teaching.misconceptions_page())


def _offline() -> dict:
    """Configuration that takes MathJax and the widget scripts from the book itself."""
    widgets = ("require.js", "fonts.js", "embed-amd.js")  # in this order
    offline = {
        "html_extra_path": ["_extra"],
        "mathjax_path": "../vendor/mathjax/tex-mml-chtml.js",
        "nb_ipywidgets_js": {f"../vendor/widgets/{script}": {} for script in widgets},
    }
    return {"exclude_patterns": ["_extra", "book/_generated"], "sphinx": {"config": offline}}


def _merge(base: dict, extra: dict) -> dict:
    merged = dict(base)
    for key, value in extra.items():
        merged[key] = _merge(merged.get(key) or {}, value) if isinstance(value, dict) else value
    return merged


def _executed(path: Path, lab: str) -> nbformat.NotebookNode:
    if not path.exists():
        raise CourseError(f"lab {lab} has not been executed ({path} is missing); run `finqa-lab run {lab}` first")
    return labs.read_notebook(path)


def _seconds(path: Path) -> float | None:
    """How long the run took, from the report that `finqa-lab run` leaves beside a notebook, if it is there."""
    return read_json(path, "the result of a run").get("seconds") if path.exists() else None


def _page(executed, solution, instructor: bool) -> nbformat.NotebookNode:
    """The executed notebook as one edition shows it: the outputs of the run over the sources of the edition."""
    shown = normalised(solution) if instructor else student_notebook(solution)
    outputs = {cell["id"]: cell for cell in executed.cells if cell.cell_type == "code"}
    for cell in shown.cells:
        if cell.cell_type == "code" and cell["id"] in outputs:
            cell["outputs"] = outputs[cell["id"]].outputs
            cell["execution_count"] = outputs[cell["id"]].execution_count
        cell.metadata.pop("nbgrader", None)
    if "widgets" in executed.metadata:
        shown.metadata["widgets"] = executed.metadata["widgets"]
    return shown


def figures_of(executed: nbformat.NotebookNode) -> dict[str, str]:
    """The HTML of every figure that an executed notebook shows, by the id of its cell."""
    found = {}
    for cell in executed.cells:
        for output in cell.get("outputs", []):
            markup = "".join(output.get("data", {}).get("text/html", ""))
            if markup.startswith("<figure"):
                found[cell["id"]] = markup
    return found


def metrics_table(lab: str, found: dict[str, dict]) -> str:
    """The metrics that an execution recorded and the bounds that the test suite holds, as a Markdown table."""
    entries = golden.load(lab)
    rows = []
    for name, metric in found.items():
        entry = entries.get(name)
        bound, why = (golden.describe(entry), entry["why"]) if entry else ("", "")
        rows.append((f"`{name}`", format_value(metric["value"]), metric["unit"], bound, why))
    return markdown.table(("metric", "this build:", "unit", "bound in the tests", "why this margin"), rows)


def api_page(room: str) -> str:
    """The docstrings of every module of ``finqa_lab.<room>``, a section each; a new module appears by being there."""
    package = f"finqa_lab.{room}"
    folder = Path(__file__).resolve().parent.parent / room
    names = [module.name for module in pkgutil.walk_packages([str(folder)], f"{package}.") if "__" not in module.name]
    # Every pydantic model has a member model_config, with the text of the library's own.
    section = "## {0}\n\n```{{eval-rst}}\n.. automodule:: {0}\n   :members:\n   :exclude-members: model_config\n```\n"
    return "\n".join(section.format(name) for name in names)


def toc_pages(toc: Path) -> list[str]:
    """Documents that ``_toc.yml`` names, in order, without extension."""
    return re.findall(r"(?m)^\s*(?:- )?(?:root|file):\s*(\S+?)(?:\.md|\.ipynb)?\s*$", toc.read_text(encoding="utf-8"))


def _sphinx(source: Path, out: Path) -> Path:
    command = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()"]  # it has no __main__
    command += ["build", str(source), "--path-output", str(out)]
    done = subprocess.run(
        [*command, "-W", "-n", "--keep-going"],
        capture_output=True,
        text=True,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONWARNINGS": "ignore", "NO_COLOR": "1"},
    )
    log = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout + done.stderr)
    write_atomic(out / "build.log", log)
    html = out / "_build" / "html"
    warnings = [line for line in log.splitlines() if re.search(r"WARNING|ERROR|CRITICAL", line)]
    if done.returncode or not (html / "index.html").exists():
        first = warnings[0] if warnings else (log.strip().splitlines() or ["no output"])[-1]
        more = f" and {len(warnings) - 1} more" if len(warnings) > 1 else ""
        raise CourseError(f"the book does not build: {first.strip()}{more}; the whole log is in {out / 'build.log'}")
    return html
