"""Results tables from a benchmark: every figure comes from its JSON, and a file that lacks something is named."""

import json

import pytest

from finqa_lab.course.results import finqa, reports
from finqa_lab.errors import CourseError

HEAD = {
    "date": "2026-01-02",
    "hardware": "a machine",
    "split": "dev",
    "questions": 464,
    "train_on": "train",
    "pages": 637,
    "estimate": True,
}


def estimate(value, half=1.0):
    return {"value": value, "half": half, "count": 464}


def test_the_head_says_what_was_measured():
    text = finqa.fragments(HEAD)["head"]
    for piece in ("464 questions", "dev split", "637 pages", "2026-01-02", "a machine", "weighted by strata"):
        assert piece in text
    assert "means over the split" in finqa.fragments(HEAD | {"estimate": False})["head"]


def test_a_section_becomes_a_table_with_its_own_figures():
    part = {"records": 501, "equal": 500, "exceptions": {"another value": ["a-1"]}, "left_out": ["x"]}
    text = finqa.fragments(HEAD | {"executor": {"train": part, "cpu_s": 1.0}})["executor"]
    assert "| train | 501 | 500 | another value: a-1 | 1 |" in text
    assert "cpu_s" not in text


def test_the_generator_table_has_a_row_for_each_way_of_answering():
    row = {"execution": 0.4972, "half_interval": 0.0546, "each": [49.7], "among_five": 0.65, "train_cpu_s": 22.0}
    section = {"records": 501, "facts": 5, "gold facts": row, "retrieved": row | {"execution": 0.25}}
    text = finqa.fragments(HEAD | {"generator": section})["generator"]
    assert "| gold facts | 49.7 ± 5.5 | 65.0 | 49.7 | 22 |" in text and "| retrieved | 25.0 ± 5.5 |" in text


def test_every_table_has_as_many_cells_in_each_row_as_in_its_head():
    for name, text in finqa.fragments(reports.load(finqa.NAME)).items():
        tables = [[]]
        for line in text.splitlines():
            tables[-1].append(line) if line.startswith("|") else tables.append([])
        for table in filter(None, tables):
            assert len({line.count("|") for line in table}) == 1, name


def test_the_committed_report_is_whole():
    report = reports.load(finqa.NAME)
    assert set(finqa.SECTIONS) <= set(report)
    assert all(part["equal"] == part["records"] for part in report["executor"].values() if isinstance(part, dict))


def test_a_report_without_a_head_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(reports.labs, "root", lambda: tmp_path)
    path = tmp_path / "benchmarks" / "results" / "x.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"date": "2026"}))
    with pytest.raises(CourseError, match="x.json lacks hardware"):
        reports.load("x")
