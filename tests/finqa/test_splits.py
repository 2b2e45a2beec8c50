"""Splits on disk: strata, weights, intervals, and the pages that can be searched."""

import json
import math

import pytest

from finqa_lab.errors import CourseError
from finqa_lab.finqa.splits import Strata, read_corpus, read_split, read_strata, whole
from tests.finqa_data import finqa_folder, raw_record


def write(folder, name, value):
    (folder / name).write_text(json.dumps(value))


def test_a_weighted_mean_is_the_mean_of_the_split_when_the_sample_is_like_the_rest():
    strata = Strata(
        {f"h{i}": "hard" for i in range(4)} | {f"s{i}": "sample" for i in range(10)}, {"hard": 0.04, "sample": 0.96}
    )
    values = {name: float(name.startswith("s") or name == "h0") for name in strata.members}
    found = strata.mean(values)
    assert found.value == pytest.approx(0.04 * 0.25 + 0.96)
    assert found.half == pytest.approx(1.959964 * 0.04 * math.sqrt(0.25 / 4)), "variance of 1, 0, 0, 0 is 1/4"
    assert found.count == 14


def test_one_group_is_the_plain_mean():
    assert whole("abcd").mean({"a": 1.0, "b": 0.0, "c": 0.0, "d": 1.0}).value == 0.5


def test_a_group_without_values_leaves_its_share_to_the_others():
    strata = Strata({"a": "hard", "b": "sample"}, {"hard": 0.1, "sample": 0.9})
    assert strata.mean({"a": 1.0}).value == 1.0


@pytest.mark.parametrize("values", [{}, {"stranger": 1.0}])
def test_values_that_belong_nowhere_are_refused(values):
    with pytest.raises(CourseError, match="nothing to average|stranger is in no stratum"):
        whole(["a"]).mean(values)


@pytest.mark.parametrize(
    "raw",
    [
        [],
        {"hard": []},
        {"split_size": 3, "hard": ["a"], "sample": ["a"]},
        {"split_size": 1, "hard": ["a"], "sample": []},
    ],
)
def test_a_strata_file_that_makes_no_sense_is_refused(tmp_path, raw):
    write(tmp_path, "dev_strata.json", raw)
    with pytest.raises(CourseError, match="dev_strata.json"):
        read_strata(tmp_path / "dev_strata.json")


def test_a_split_is_weighted_by_the_file_beside_it(tmp_path):
    first, second = raw_record(1), raw_record(2)
    write(tmp_path, "dev.json", [first, second])
    assert read_split(tmp_path, "dev").strata.shares == {"all": 1.0}
    write(tmp_path, "dev_strata.json", {"split_size": 10, "hard": [first["id"]], "sample": [second["id"]]})
    split = read_split(tmp_path, "dev")
    assert split.strata.mean({first["id"]: 1.0, second["id"]: 0.0}).value == pytest.approx(0.1)
    write(tmp_path, "dev_strata.json", {"split_size": 10, "hard": [first["id"]], "sample": []})
    with pytest.raises(CourseError, match="1 questions of dev.json are in no stratum"):
        read_split(tmp_path, "dev")


def test_the_corpus_holds_the_pages_of_splits_and_of_the_page_file(tmp_path):
    raw = raw_record(1)
    write(tmp_path, "dev.json", [raw])
    split = read_split(tmp_path, "dev")
    assert list(read_corpus(tmp_path, split)) == [raw["filename"]]
    write(tmp_path, "reports.json", {"B/2001/page_1.pdf": {"pre_text": ["x"], "post_text": [], "table": [["", "1"]]}})
    assert list(read_corpus(tmp_path, split)) == [raw["filename"], "B/2001/page_1.pdf"]


def test_the_real_dev_split_is_weighted_to_883():
    split = read_split(finqa_folder("dev.json", "dev_strata.json"), "dev")
    assert len(split.records) == 464 and split.strata.shares["hard"] == pytest.approx(352 / 883)
    assert split.strata.mean({record.id: 1.0 for record in split.records}).value == pytest.approx(1.0)
