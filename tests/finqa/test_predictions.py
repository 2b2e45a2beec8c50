"""Invented predictions are wrong in the way they say, and right otherwise."""

from collections import Counter

import pytest

from finqa_lab.finqa.equivalence import equivalent
from finqa_lab.finqa.parse import parse
from finqa_lab.finqa.scoring import score
from finqa_lab.finqa.synthetic.predictions import MISTAKES, predict, reworded
from finqa_lab.finqa.synthetic.reports import make_records
from finqa_lab.finqa.taxonomy import WrongClass, classify

RECORDS = list(make_records(60, 5))
GOLD = {record.id: parse(record.program) for record in RECORDS}


def test_rewording_keeps_the_meaning_and_changes_words():
    changed = 0
    for program in GOLD.values():
        assert equivalent(program, reworded(program))
        changed += reworded(program) != program
    assert changed > 60


def test_without_mistakes_everything_is_right():
    card = score(predict(RECORDS, {}), RECORDS)
    assert card.rate("execution").value == card.rate("program").value == 1.0


@pytest.mark.parametrize("kind", MISTAKES)
def test_a_mistake_is_of_the_kind_it_says(kind):
    """Programs can be wrong in two ways at once, and chance makes a few right: nine of ten is the bound."""
    wrong = [entry for entry in predict(RECORDS, {kind: 1.0}, seed=1) if entry["truth"]]
    assert len(wrong) > 60
    found = Counter(classify(GOLD[entry["id"]], entry["predicted"]) for entry in wrong)
    assert found[kind] >= 0.9 * len(wrong) or (kind == WrongClass.WRONG_OPERAND and _operands(found) > 0.9 * len(wrong))


def _operands(found: Counter) -> int:
    return found[WrongClass.WRONG_OPERAND] + found[WrongClass.WRONG_ROW]


def test_rates_and_seeds():
    rates = {WrongClass.SCALE: 0.2, WrongClass.STRUCTURE: 0.1}
    made = Counter(entry["truth"] for entry in predict(RECORDS, rates))
    assert abs(made["scale"] / 300 - 0.2) < 0.07 and abs(made["structure"] / 300 - 0.1) < 0.06
    assert predict(RECORDS, rates) == predict(RECORDS, rates) != predict(RECORDS, rates, seed=1)
    with pytest.raises(ValueError, match="sum to 1.2"):
        predict(RECORDS, {WrongClass.SCALE: 0.7, WrongClass.ORDER: 0.5})
