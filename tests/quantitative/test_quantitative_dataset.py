"""The splits: sizes, balance, disjointness, determinism, and no short cut to the names."""

import os
import subprocess
import sys
from collections import Counter
from functools import lru_cache

import pytest

from finqa_lab.errors import CourseError
from finqa_lab.quantitative.card import card
from finqa_lab.quantitative.dataset import HELD_OUT, TASKS, dataset, families, main
from finqa_lab.quantitative.rounding import outside_tolerance, rounded_early
from finqa_lab.quantitative.task import FAMILIES, key


@lru_cache(maxsize=3)
def built(seed):
    return dataset(seed)


@pytest.mark.parametrize("seed", [0, 1, 7])
def test_no_parameter_set_and_no_question_occurs_twice(seed):
    splits = built(seed).named()
    samples = [sample for part in splits.values() for sample in part]
    assert {name: len(part) for name, part in splits.items()} == {"train": 900, "validation": 300, "phrasing": 300}
    for values in (
        [(sample.task, key(sample.parameters)) for sample in samples],
        [" ".join(sample.question.lower().split()) for sample in samples],
        [sample.id for sample in samples],
    ):
        assert len(set(values)) == len(values) == 1500


@pytest.mark.parametrize("seed", [0, 1])
def test_tasks_difficulties_and_families_are_balanced(seed):
    for name, part in built(seed).named().items():
        for task in TASKS:
            chosen = [sample for sample in part if sample.task == task]
            assert len(chosen) == len(part) // 6
            for field, values in (("difficulty", (1, 2, 3)), ("family", families(task, name))):
                counts = Counter(getattr(sample, field) for sample in chosen)
                assert set(counts) == set(values)
                assert max(counts.values()) - min(counts.values()) <= 3


def test_the_held_out_family_is_in_the_third_split_only():
    splits = built(0)
    for sample in splits.train + splits.validation:
        assert sample.family != HELD_OUT[sample.task]
    assert all(sample.family == HELD_OUT[sample.task] for sample in splits.phrasing)
    assert set(HELD_OUT) == set(TASKS) and set(HELD_OUT.values()) <= set(FAMILIES)


def test_difficulty_and_family_do_not_go_together():
    """Within a task every family has every difficulty."""
    pairs = {(s.task, s.family, s.difficulty) for s in built(0).train}
    assert len(pairs) == 6 * 4 * 3


def test_samples_are_in_no_order_of_tasks():
    tasks = [sample.task for sample in built(0).train]
    assert sum(a == b for a, b in zip(tasks, tasks[1:])) < 300


def test_the_same_seed_gives_the_same_samples_in_another_process():
    code = (
        "import hashlib; from finqa_lab.quantitative.dataset import dataset; "
        "print(hashlib.sha256(repr(dataset(5)).encode()).hexdigest())"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": value},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for value in ("1", "2")
    }
    assert len(found) == 1
    assert dataset(5) == dataset(5) and dataset(5) != dataset(6)


def test_a_smaller_data_set_begins_like_the_large_one():
    small = dataset(0, {"train": 60, "validation": 12, "phrasing": 0})
    assert len(small.train) == 60 and not small.phrasing
    assert {s.id: s for s in small.train}.items() <= {s.id: s for s in built(0).train}.items()


@pytest.mark.parametrize("sizes", [{"train": 10, "validation": 6, "phrasing": 6}, {"train": 6}, {"train": -6}])
def test_sizes_that_do_not_divide_are_refused(sizes):
    with pytest.raises(CourseError, match="give a multiple of 6"):
        dataset(0, sizes)


def test_no_simple_rule_finds_the_names():
    """Over three seeds a rule is right about as often as guessing; the bounds are four standard deviations wide."""
    samples = [s for seed in (0, 1, 2) for part in built(seed).named().values() for s in part]

    def share(task, rule, difficulties):
        chosen = [rule not in s.mistakes for s in samples if s.task == task and s.difficulty in difficulties]
        return sum(chosen) / len(chosen)

    for rule in ("higher return", "lower volatility"):
        assert share("sharpe", rule, (1, 2, 3)) == pytest.approx(0.5, abs=0.075)
    assert share("sharpe", "not annualised", (3,)) == pytest.approx(0.5, abs=0.13)
    assert share("sharpe", "no risk-free rate", (2,)) == pytest.approx(0.5, abs=0.13)
    assert share("ranking", "volatility as stated", (2,)) == pytest.approx(1 / 3, abs=0.12)
    places = Counter(s.parameters["names"].index(s.answer.split(" > ")[0]) for s in samples if s.task == "ranking")
    assert all(count / 750 == pytest.approx(1 / 3, abs=0.07) for count in places.values())
    firsts = [s.parameters["names"][0] == s.answer for s in samples if s.task == "sharpe"]
    assert sum(firsts) / 750 == pytest.approx(0.5, abs=0.075)


def test_early_rounding_takes_a_worked_example_of_the_data_set_out_of_its_own_tolerance():
    train = built(0).train
    found = {sample.id: sample for sample in outside_tolerance(train, 4)}
    value, error = rounded_early(found["train-compounding-119"].program, 4)
    assert (round(value, 2), found["train-compounding-119"].answer) == (862.62, 853.67) and 0.01 < error < 0.011
    assert not outside_tolerance(train, 6)
    assert len(outside_tolerance(train, 2)) > len(outside_tolerance(train, 3)) > len(found) > 0


def test_early_rounding_of_a_divisor_to_zero_counts_as_outside():
    with pytest.raises(CourseError, match="division by zero"):
        rounded_early("multiply(0.001, 1), divide(5, #0)", 2)
    with pytest.raises(CourseError, match="no number to be off from"):
        rounded_early("greater(2, 1)", 2)


def test_the_card_counts_what_there_is_and_writes_nothing(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    main(["--seed", "3"])
    printed = capsys.readouterr().out
    assert "| train | 900 | 150 | 150 | 150 | 150 | 150 | 150 |" in printed
    assert "dollars 16.7%, fraction 33.3%, name 33.3%, shares 16.7%" in printed
    assert list(tmp_path.iterdir()) == []


def test_the_card_of_a_part_without_samples_is_still_one():
    assert "| phrasing | 0 |" in card(dataset(0, {"train": 18, "validation": 6, "phrasing": 0}), "small")
