"""The trained generator: what can fill a blank, and how often the best program is right on pages never seen."""

from functools import lru_cache

import pytest

from finqa_lab.errors import CourseError
from finqa_lab.finqa.execute import execute
from finqa_lab.finqa.generator.mentions import Evidence, number_mentions, row_mentions
from finqa_lab.finqa.generator.model import Generator, train
from finqa_lab.finqa.generator.skeletons import fill, split
from finqa_lab.finqa.official import execution_value
from finqa_lab.finqa.parse import parse
from finqa_lab.finqa.program import Number, RowName
from finqa_lab.finqa.synthetic.reports import load_reports

TABLE = (("", "2008", "2007"), ("net sales", "$ 5829", "5735"), ("loss ( gain )", "-3 ( 3 )", "6.5% ( 6.5 % )"))


@lru_cache
def trained(seed: int = 0) -> Generator:
    return train(load_reports("train")[:200], seed=seed)


def test_numbers_of_rows_keep_their_column_and_the_accountants_copy_is_no_second_number():
    found = number_mentions(Evidence("", {"table_1": "", "table_2": ""}, TABLE))
    assert [(m.text, m.year, m.fact) for m in found if not m.is_bare] == [
        ("5829", 2008, 0),
        ("5735", 2007, 0),
        ("-3", 2008, 1),
        ("6.5%", 2007, 1),
    ]
    assert [m.text for m in found if m.is_bare] == ["3", "6.5"]
    assert [m.text for m in row_mentions(Evidence("", {"table_2": "", "text_0": ""}, TABLE))] == ["loss ( gain )"]


def test_numbers_of_sentences_in_turn_belong_to_the_years_in_turn():
    text = "in 2008 and 2007 , we paid $ 1,200 and $ 4.1 million , respectively , on 6.5% ( 6.5 % ) notes ."
    assert [m.text for m in number_mentions(Evidence("", {"text_0": text}, TABLE)) if not m.is_bare] == [
        "2008",
        "2007",
        "1,200",
        "4.1",
        "6.5%",
    ]
    turn = number_mentions(Evidence("", {"text_0": "in 2008 and 2007 we paid $ 7 and $ 9"}, TABLE))
    assert [(m.text, m.year) for m in turn if m.source == "text" and m.year] == [("7", 2008), ("9", 2007)]


def test_a_split_program_filled_again_is_the_program():
    for record in load_reports("train")[:200]:
        program = parse(record.program)
        skeleton, arguments = split(program)
        names = {row[0] for row in record.table}
        kinds = [RowName if text in names else Number for text in arguments]
        assert fill(skeleton, [kind(text) for kind, text in zip(kinds, arguments)]) == program


def test_most_best_programs_are_right_on_unseen_pages():
    """85 to 87% were, with three seeds; the most frequent skeleton, filled in reading order, answers 10%.

    Of all 150 test questions 87 to 89% and 13%. Chance is +-5 points on these 60.
    """
    records = load_reports("test")[:60]
    right = 0
    for record in records:
        programs = trained().predict(Evidence.gold(record))
        assert all(execute(program, record.table).failure is None for program in programs)
        right += bool(programs) and execution_value(programs[0], record.table) == record.exe_ans
    assert right / len(records) > 0.7, right


def test_the_seed_decides():
    records = load_reports("train")[:15]
    probe = load_reports("test")[:5]
    first, again, other = (
        [train(records, seed=seed).predict(Evidence.gold(record)) for record in probe] for seed in (1, 1, 2)
    )
    assert first == again != other


@pytest.mark.parametrize("facts", [{}, {"text_0": "no number here"}, {"table_9": "a row that the table lacks"}])
def test_facts_that_offer_nothing_give_no_program(facts):
    assert trained().predict(Evidence("what was the change ?", facts, TABLE)) == []
    assert trained().predict(Evidence("", facts, ())) == []


def test_a_training_set_without_programs_is_refused():
    with pytest.raises(CourseError, match="0 records hold too little"):
        train([])
