"""Every lab runs from top to bottom, keeps its bounds, and is built as the contributing page says."""

import ast
import json

import nbformat
import pytest
from nbclient import NotebookClient

from finqa_lab.course import checking, golden, labs, parameters, release, structure
from finqa_lab.course.normalise import to_text
from tests.notebooks.conftest import LABS

pytestmark = pytest.mark.parametrize("lab", LABS)


@pytest.mark.xdist_group("labs")
def test_it_runs_and_its_metrics_keep_their_bounds(lab, executed):
    result = executed(lab)
    assert result.status == "passed", f"{result.reason} in cell {result.cell}\n{result.detail}"
    assert result.metrics


@pytest.mark.xdist_group("labs")
def test_every_check_of_the_lab_says_right_for_the_solution_and_draws_figures_with_alt_text(lab, executed):
    notebook = labs.read_notebook(executed(lab).notebook)
    outputs = [out for cell in notebook.cells if cell.cell_type == "code" for out in cell.outputs]
    text = "".join(out.get("text", "") for out in outputs)
    for name in checks_in(labs.read_notebook(labs.solution_path(lab))):
        assert f"[right] {name}:" in text, name
    assert not [out for out in outputs if "image/png" in out.get("data", {})], "a figure without the figure() helper"
    figures = [out for out in outputs if "<figure" in "".join(out.get("data", {}).get("text/html", ""))]
    assert len(figures) >= 3
    for cell in notebook.cells:
        if cell.cell_type == "code":
            shown = [out for out in cell.outputs if "<figure" in "".join(out.get("data", {}).get("text/html", ""))]
            assert len(shown) <= 1, f"cell {cell.id} shows {len(shown)} figures"


def test_its_source_is_sound_and_in_the_committed_form(lab):
    path = labs.solution_path(lab)
    notebook = labs.read_notebook(path)
    assert structure.problems(notebook) == []
    assert path.read_text(encoding="utf-8") == to_text(notebook), "run `finqa-lab normalise`"


def test_the_student_notebook_is_what_the_source_generates(lab):
    assert release.stale(lab) == ""


def test_nothing_of_the_answers_is_in_the_student_notebook(lab):
    """Searched in the committed file itself, as text, not only in the cells that the release looked at."""
    raw = labs.release_path(lab).read_text(encoding="utf-8")
    assert release.leaks(labs.read_notebook(labs.solution_path(lab)), nbformat.reads(raw, as_version=4)) == []
    flat = " ".join(raw.split())
    for marker in ("BEGIN SOLUTION", "END SOLUTION", "HIDDEN TEST", "MARK SCHEME"):
        assert marker not in flat.upper()
    lines = release.solution_lines(labs.read_notebook(labs.solution_path(lab)))
    assert lines, "the search would find nothing in a lab whose solutions are all too short"
    assert not [line for line in lines if json.dumps(line)[1:-1] in flat]


def test_the_profiles_fit_and_smoke_is_the_default(lab):
    declared = parameters.declared(lab)
    smoke = parameters.profile("smoke", lab, declared)
    assert smoke == {name: parameter.default for name, parameter in declared.items()}
    for profile in ("cpu", "gpu"):
        assert parameters.profile(profile, lab, declared), f"{profile}.yml says nothing about {lab}"
    assert "seed" in declared


def test_every_golden_metric_gives_its_reason(lab):
    entries = golden.load(lab)
    assert entries
    for name, entry in entries.items():
        assert len(entry["why"]) > 20, f"{name}: write why its margin is what it is"


def test_an_unsolved_notebook_gets_not_started_from_every_check(lab):
    """The student's file as released: the exercises and their checks, run in one kernel."""
    student = labs.read_notebook(labs.release_path(lab))
    kept = [cell for cell in student.cells if cell.cell_type == "code" and needed(cell)]
    reduced = nbformat.v4.new_notebook(cells=kept, metadata=student.metadata)
    NotebookClient(
        reduced, timeout=120, allow_errors=True, resources={"metadata": {"path": str(labs.root())}}
    ).execute()
    graded = [cell for cell in reduced.cells if cell.metadata.get("nbgrader", {}).get("grade")]
    assert graded
    for cell in graded:
        (error,) = [out for out in cell.outputs if out.output_type == "error"]
        assert error.ename == "CheckFailed" and "[not started]" in error.evalue, f"cell {cell.id}: {error.evalue}"
        assert len("\n".join(error.traceback).splitlines()) <= 3, "a traceback through course code"


def needed(cell) -> bool:
    """Imports, parameters, exercises and checks; the measurements in between are left out."""
    flags = cell.metadata.get("nbgrader", {})
    body = ast.parse(cell.source).body
    imports = body and all(isinstance(node, ast.Import | ast.ImportFrom | ast.Expr) for node in body)
    imports = imports and isinstance(body[0], ast.Import | ast.ImportFrom)
    return imports or "parameters" in cell.metadata.get("tags", []) or flags.get("solution") or flags.get("grade")


def checks_in(notebook) -> list[str]:
    """Names of the registered checks that the notebook's graded cells call."""
    graded = "\n".join(c.source for c in notebook.cells if c.metadata.get("nbgrader", {}).get("grade"))
    return [name for name in checking.all_checks() if f'check("{name}"' in graded]
