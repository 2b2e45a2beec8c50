"""Statistics of small sets counted by hand, of the generated reports, and of the real examples."""

import json

import pytest

from finqa_lab.cli import main
from finqa_lab.errors import CourseError
from finqa_lab.finqa.card import card
from finqa_lab.finqa.describe import describe, load
from finqa_lab.finqa.faults import AnswerKind, Fault, answer_kind, fault
from finqa_lab.finqa.records import Problem, parse_record
from tests.finqa_data import finqa_folder, raw_record

# written answer, executed answer, fault
FAULTS = [
    ("25%", 0.25, None),
    ("25 %", 0.2451, None),  # rounded
    ("24.4%", 0.24499, None),  # truncated
    ("$ 2.5 million", 2.49, None),
    ("$ 2.5 million", 2500000.0, None),
    ("-26", -26.0, None),
    ("$ -1,234.5", -1234.5, None),
    (".2", 0.2, None),
    ("0", 0.0, None),
    ("0%", 0.004, None),
    ("7317 towers", 7317.28, None),
    ("yes", "yes", None),
    ("", 3.0, Fault.BLANK),
    (" ", "yes", Fault.BLANK),
    ("n/a", 3.0, Fault.UNREADABLE),
    ("no", "yes", Fault.YES_NO),
    ("yes", 1.0, Fault.YES_NO),
    ("3", "no", Fault.YES_NO),
    ("18.6%", 18.6, Fault.PERCENT),
    ("58.6%", -0.58621, Fault.SIGN),
    ("-5", 5.0, Fault.SIGN),
    ("27.9", 0.279, Fault.SCALE_100),
    ("0.36", 36.0, Fault.SCALE_100),
    ("1.234", 1234.0, Fault.SCALE_1000),
    ("-5000000", -5.0, Fault.SCALE_MILLION),
    ("101 stores", 112.5, Fault.NUMBER),
    ("0", 12.0, Fault.NUMBER),
    ("1", 0.0, Fault.NUMBER),
    (".2", 0.9, Fault.NUMBER),
    ("12", 0.0, Fault.NUMBER),
    ("-27.9", 0.279, Fault.NUMBER),
]


@pytest.mark.parametrize(("answer", "executed", "expected"), FAULTS)
def test_a_written_answer_has_the_fault_of_its_difference(answer, executed, expected):
    assert fault(parse_record(raw_record(answer=answer, exe_ans=executed))) == expected


def test_a_withheld_answer_has_no_fault():
    assert fault(parse_record(raw_record(answer="12", exe_ans=None))) is None


def test_answer_kinds():
    kinds = {"5 %": "percentage", "$ 5": "number", "No": "yes or no", " ": "blank", "none given": "other text"}
    assert {text: answer_kind(text) for text in kinds} == {text: AnswerKind(kind) for text, kind in kinds.items()}


def records():
    other = raw_record(
        3, answer="", program="table_max(tools, none)", exe_ans=384.3, gold_inds={"table_0": "", "text_3": ""}
    )
    other["filename"] = "BIG/2001/page_1.pdf"
    other["table"] = [["", "2018"], ["tools", "1"], ["tools", "2"], ["", "1"], ["", "2"]]
    second = raw_record(2, question="why?", answer="3", program="nonsense", gold_inds={"text_2": "", "text_3": ""})
    return [parse_record(raw) for raw in (raw_record(1), second, other)]


def test_a_small_set_is_counted_by_hand():
    found = describe(records())
    assert (found.questions, found.pages, found.companies, found.repeated_questions) == (3, 2, 2, 2)
    assert found.operations == {name: pytest.approx(1 / 3) for name in ("subtract", "divide", "table_max")}
    assert found.steps == {1: 0.5, 2: 0.5} and found.unreadable_programs == ["ACME/2018/page_12.pdf-2"]
    assert found.constants == {} and found.gold_facts == {1: pytest.approx(1 / 3), 2: pytest.approx(2 / 3)}
    assert found.fact_kinds == {kind: pytest.approx(1 / 3) for kind in ("table", "text", "both")}
    assert found.faults == {"other number": ["ACME/2018/page_12.pdf-2"], "blank": ["ACME/2018/page_12.pdf-3"]}
    assert found.candidates.mean == 9.5 and found.candidates.largest == 10 and found.rows.mean == 4.5
    assert found.question_words.p50 == 13 and found.question_words.mean == 9
    assert found.duplicate_rows == ["BIG/2001/page_1.pdf"] and found.header_facts == ["ACME/2018/page_12.pdf-3"]
    assert found.near_empty == pytest.approx(2 / 19)  # "." on both pages
    assert found.question_tokens is None and found.report_tokens is None


def test_units_of_two_words_are_near_empty_and_rows_without_a_name_are_no_duplicates():
    raw = raw_record(gold_inds={}) | {"pre_text": ["note 3", "see note 3"], "post_text": []}
    found = describe([parse_record(raw | {"table": [["", "2018"], ["", "1"], ["", "2"]]})])
    assert found.near_empty == pytest.approx(1 / 5) and found.duplicate_rows == []


def test_tokens_are_counted_with_the_given_function():
    found = describe(records()[:2], count_tokens=len)
    assert found.question_tokens.largest == len(records()[0].question)
    assert found.report_tokens.p50 == sum(map(len, records()[0].page.facts().values()))


def test_a_file_without_written_answers_has_no_faults():
    without = [parse_record(raw_record(1, answer="")), parse_record(raw_record(2, answer=""))]
    assert describe(without).faults == {} and describe(without).answer_kinds == {}


def test_nothing_to_describe_and_unknown_splits_are_one_sentence(tmp_path):
    with pytest.raises(CourseError, match="no records to describe"):
        describe([])
    with pytest.raises(CourseError, match="the split 'night' is unknown; choose one of train"):
        load("generated", "night")
    with pytest.raises(CourseError, match="data fetch finqa"):
        load(tmp_path, "all")


def test_the_generated_reports_are_as_their_card_says():
    found = describe(load("generated", "all")[0])
    assert (found.questions, found.pages, found.faults) == (1500, 300, {})
    assert {number: round(100 * share, 1) for number, share in found.steps.items()} == {
        1: 52.5, 2: 42.9, 3: 3.1, 4: 1.3, 5: 0.2
    }  # fmt: skip
    assert round(found.candidates.mean, 1) == 30.5 and round(found.report_words.mean) == 608


def test_the_command_prints_a_card_and_json(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("FINQA_LAB_HOME", str(tmp_path / "home"))
    path = tmp_path / "dev.json"
    path.write_text(json.dumps([raw_record(1), raw_record(2, answer="3"), {"id": "bad"}]))
    assert main(["data", "describe", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert (
        "| questions | 2 |" in out and "- left out: bad: filename: is missing" not in out and "left out: bad: " in out
    )
    assert "- fault 'other number': 1: ACME/2018/page_12.pdf-2" in out
    assert main(["data", "describe", str(path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["faults"] == {"other number": ["ACME/2018/page_12.pdf-2"]} and found["left_out"][0]["record"] == "bad"
    assert main(["data", "describe"]) == 0
    assert capsys.readouterr().out.startswith("# generated, dev\n")
    assert main(["data", "describe", str(path), "--tokenizer", str(path)]) == 2
    assert "is not a tokenizer" in capsys.readouterr().err


def test_tokens_come_from_a_tokenizer_file(capsys):
    from finqa_lab.files import data_path

    path = str(data_path("text/general_tokenizer.json"))
    assert main(["data", "describe", "generated", "--tokenizer", path, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["report_tokens"]["mean"] > 300


def test_a_card_names_what_was_left_out():
    problems = [Problem(f"no. {number}", "id", "is missing") for number in range(7)]
    lines = card(describe(records(), problems), "x").splitlines()
    assert "| records left out | 7 |" in lines and "- left out: no. 4: id: is missing" in lines
    assert sum(line.startswith("- left out: ") for line in lines) == 6


def test_the_real_dev_programs_have_the_published_shares():
    found = describe(load(finqa_folder("dev_programs.json") / "dev_programs.json")[0])
    operations = {name: round(100 * share, 1) for name, share in found.operations.items()}
    assert operations["divide"] == 46.7 and operations["subtract"] == 30.5 and operations["table_average"] == 1.4
    assert round(100 * found.steps[1]) == 59 and set(found.steps) == {1, 2, 3, 4, 5} and found.pages == 299
