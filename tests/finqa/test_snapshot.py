"""A snapshot notices every change, and says which."""

import dataclasses
import json

import pytest

from finqa_lab.errors import CourseError
from finqa_lab.finqa.snapshot import MANIFEST, changes, freeze
from finqa_lab.finqa.synthetic.reports import make_records

RECORDS = list(make_records(4, 2))
PROMPTS = {record.id: f"question: {record.question}" for record in RECORDS}
PREDICTIONS = [{"id": record.id, "predicted": record.program, "truth": ""} for record in RECORDS]


def frozen(folder):
    return freeze(folder, RECORDS, PROMPTS, PREDICTIONS, {"model": "none"})


def test_an_untouched_snapshot_holds_and_is_the_same_twice(tmp_path):
    first = frozen(tmp_path / "a").read_bytes()
    assert changes(tmp_path / "a", RECORDS) == []
    assert frozen(tmp_path / "b").read_bytes() == first
    assert json.loads(first)["records"] == 8 and "truth" not in (tmp_path / "a" / "predictions.json").read_text()


def test_each_change_is_named(tmp_path):
    frozen(tmp_path)
    other = [dataclasses.replace(RECORDS[0], exe_ans=1.5), *RECORDS[1:]]
    assert changes(tmp_path, other) == ["questions"]
    for name in ("prompts", "predictions"):
        path = tmp_path / f"{name}.json"
        text = path.read_text()
        path.write_text(text.replace("what", "which", 1) if name == "prompts" else text.replace("1", "2", 1))
        assert changes(tmp_path, RECORDS) == [name]
        path.write_text(text)


def test_layout_is_no_change(tmp_path):
    frozen(tmp_path)
    path = tmp_path / "prompts.json"
    path.write_text(json.dumps(json.loads(path.read_text()), indent=3))
    assert changes(tmp_path, RECORDS) == []


def test_bad_input_is_one_sentence_and_leaves_no_manifest(tmp_path):
    with pytest.raises(CourseError, match="1 records have no prompt, the first is"):
        freeze(tmp_path, RECORDS, dict(list(PROMPTS.items())[1:]), PREDICTIONS, {})
    assert not (tmp_path / MANIFEST).exists()
    frozen(tmp_path)
    (tmp_path / "prompts.json").unlink()
    with pytest.raises(CourseError, match="prompts"):
        changes(tmp_path, RECORDS)
