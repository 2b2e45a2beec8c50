"""Sheets of the base model's second stage."""

import random
import re

from hypothesis import given, settings
from hypothesis import strategies as st

from finqa_lab.pretrain.sheets import conversation, sheet, sheets
from finqa_lab.quantitative.dataset import dataset
from finqa_lab.quantitative.spelling import read_spelled

CALL = re.compile(r"take\(|both\(|list: |#\d+|[a-z()]+")


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32))
def test_every_figure_of_a_reply_stands_in_the_sheet_in_some_spelling(seed):
    text, reply = sheet(random.Random(seed))
    spelled = re.findall(
        r"(?:USD |\$ ?)?\d[\d,]*(?:\.\d+)?(?:k| ?%| per ?cent| dollars)?|\b(?:two|three|four|five|six|seven|eight|nine"
        r"|ten|eleven|twelve)\b",
        text,
    )
    values = {read_spelled(one.rstrip(",")) for one in spelled}
    asked = [one for one in re.split(r"[ ,]+", CALL.sub(" ", reply)) if one]
    assert asked
    assert all(read_spelled(one) in values for one in asked), (text, reply)


def test_what_is_asked_for_is_answered_in_its_order():
    for seed in range(200):
        text, reply = sheet(random.Random(seed))
        if re.match(r"[a-z]+ \d", reply):
            labels = re.findall(r"([a-z]+) \d", reply)
            assert ", ".join(labels) in text


def test_a_sheet_is_no_question_of_the_tasks():
    text = "".join(sheets(random.Random(seed), 20) for seed in range(50))
    assert not [sample for sample in dataset(0).train if sample.question in text or sample.program in text]
    assert not re.search(r"(add|subtract|multiply|divide|exp)\(", text)


def test_a_conversation_shows_its_form():
    for seed in range(100):
        rules, user, reply = conversation(random.Random(seed))
        assert [turn["role"] for turn in (rules, user, reply)] == ["system", "user", "assistant"]
        shape = rules["content"].rpartition("Reply as in: ")[2]
        assert ("take(" in shape, "both(" in shape) == ("take(" in reply["content"], "both(" in reply["content"])
