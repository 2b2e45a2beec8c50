"""The official schema: what is read, what is refused by name, and what comes back when it is written."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finqa_lab.errors import CourseError
from finqa_lab.finqa.pages import read_pages, row_sentences
from finqa_lab.finqa.records import Record, parse_record, read_records, write_records
from tests.finqa_data import finqa_folder, raw_record


def written(tmp_path, records) -> str:
    path = tmp_path / "records.json"
    path.write_text(json.dumps(records), encoding="utf-8")
    return str(path)


def test_a_record_is_read_with_types(tmp_path):
    records = read_records(written(tmp_path, [raw_record()]), strict=True).records
    assert len(records) == 1
    record = records[0]
    assert isinstance(record, Record) and record.page.company == "ACME"
    assert record.table[3] == ("total net sales", "$ 500.0", "$ 400.0")
    assert record.exe_ans == 0.25 and record.steps[1].arg1 == "#0" and record.fact_kind == "table"
    facts = record.page.facts()
    assert facts["table_3"] == record.gold_facts["table_3"] and facts["text_2"].startswith("the company repurchased")
    assert list(facts) == [f"text_{i}" for i in range(5)] + [f"table_{i}" for i in range(4)]


def test_writing_gives_the_same_json_and_keeps_unknown_fields(tmp_path):
    raw = raw_record(explanation="none", program_re="divide(subtract(500.0, 400.0), 400.0)")
    raw["table_ori"] = [["", "2018"], ["Tools", "$384.3"]]
    records = read_records(written(tmp_path, [raw])).records
    target = write_records(tmp_path / "out.json", records)
    assert json.loads(target.read_text()) == [raw]
    assert read_records(target).records == records


def test_withheld_and_optional_fields_may_be_missing(tmp_path):
    raw = raw_record()
    for name in ("answer", "steps", "program", "gold_inds", "exe_ans"):
        del raw["qa"][name]
    record = read_records(written(tmp_path, [raw]), strict=True).records[0]
    assert (record.answer, record.program, record.exe_ans, record.steps) == ("", None, None, ())
    assert record.gold_facts == {} and record.fact_kind == "none"
    assert set(record.to_json()["qa"]) == {"question", "answer"}


def test_zero_is_an_executed_answer_and_not_a_missing_one():
    assert parse_record(raw_record(exe_ans=0.0)).to_json()["qa"]["exe_ans"] == 0.0


def test_a_flat_list_of_programs_is_read(tmp_path):
    raw = raw_record()
    flat = {"id": raw["id"], "table": raw["table"], "split": "dev"}
    flat |= {name: raw["qa"][name] for name in ("question", "program", "exe_ans")}
    record = read_records(written(tmp_path, [flat]), strict=True).records[0]
    assert record.page.filename == "ACME/2018/page_12.pdf" and record.program == raw["qa"]["program"]
    assert record.extra == {"split": "dev"} and record.qa_extra == {}
    assert parse_record(record.to_json()) == record


NAN = float("nan")
BAD = {
    "filename": (lambda raw: raw.update(filename=7), "is a number"),
    "pre_text": (lambda raw: raw.update(pre_text="one text"), "not a list of sentences"),
    "post_text[1]": (lambda raw: raw["post_text"].__setitem__(1, None), "is null"),
    "table": (lambda raw: raw.update(table=[]), "is empty"),
    "table[2]": (lambda raw: raw["table"][2].append("1"), "has 4 cells, the header has 3"),
    "table[0]": (lambda raw: raw["table"].__setitem__(0, []), "is an empty row"),
    "table[1][2]": (lambda raw: raw["table"][1].__setitem__(2, NAN), "is NaN"),
    "table[3][1]": (lambda raw: raw["table"][3].__setitem__(1, 500), "is a number"),
    "qa": (lambda raw: raw.update(qa=None), "is null, not an object"),
    "qa.question": (lambda raw: raw["qa"].pop("question"), "is missing"),
    "qa.answer": (lambda raw: raw["qa"].update(answer=25), "is a number"),
    "qa.program": (lambda raw: raw["qa"].update(program=["add(1, 2)"]), "is a list"),
    "qa.exe_ans": (lambda raw: raw["qa"].update(exe_ans=math.inf), "neither a finite number"),
    "qa.gold_inds": (lambda raw: raw["qa"].update(gold_inds={"text_5": "gone"}), "'text_5' points to nothing"),
    "qa.gold_inds.text_4": (lambda raw: raw["qa"].update(gold_inds={"text_4": 1}), "is a number"),
    "qa.steps": (lambda raw: raw["qa"].update(steps={}), "is an object, not a list"),
    "qa.steps[0]": (lambda raw: raw["qa"]["steps"][0].pop("res"), "has the fields op, arg1, arg2"),
    "qa.steps[1].op": (lambda raw: raw["qa"]["steps"][1].update(op=None), "is missing"),
}


@pytest.mark.parametrize("field", BAD)
def test_a_broken_field_is_named_strictly_and_counted_otherwise(tmp_path, field):
    spoil, reason = BAD[field]
    bad = raw_record(2)
    spoil(bad)
    path = written(tmp_path, [raw_record(1), bad, raw_record(3)])
    found = read_records(path)
    assert [record.id[-1] for record in found.records] == ["1", "3"]
    (problem,) = found.problems
    assert problem.record == bad["id"] and problem.field == field and reason in problem.reason
    assert found.summary().startswith("2 records read, 1 left out: record ACME/2018/page_12.pdf-2")
    with pytest.raises(CourseError, match=r"page_12\.pdf-2") as caught:
        read_records(path, strict=True)
    assert f": {field}: " in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("source", ["table_4", "text_-1", "text_5", "row_1", "text_01", "text_٣"])
def test_gold_facts_must_point_to_the_page(tmp_path, source):
    path = written(tmp_path, [raw_record(1), raw_record(2, gold_inds={source: ""})])
    assert [problem.field for problem in read_records(path).problems] == ["qa.gold_inds"]


def test_duplicate_ids_and_records_without_id_are_left_out_by_name(tmp_path):
    nameless = {key: value for key, value in raw_record().items() if key != "id"}
    found = read_records(written(tmp_path, [raw_record(1), raw_record(1), nameless, 4]))
    assert [(problem.record[-1], problem.field) for problem in found.problems] == [
        ("1", "id"), ("3", "id"), ("4", "record")
    ]  # fmt: skip
    assert len(found.records) == 1


def test_a_blank_answer_a_header_fact_and_a_repeated_question_are_quirks_not_faults(tmp_path):
    quirky = [raw_record(1, answer="", gold_inds={"table_0": ""}), raw_record(2, exe_ans="no", answer="yes")]
    assert read_records(written(tmp_path, quirky), strict=True).problems == ()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (json.dumps([raw_record()])[:-40], "is not JSON at line 1"),
        ('{"id": "a"}', "holds an object, not a list of records"),
        ("[]", "has no usable record among 0"),
        ("[7, 8]", "no usable record among 2: record no. 1: record: is a number"),
        ("\udcff", "cannot be read"),
    ],
)
def test_an_unusable_file_is_one_sentence(tmp_path, content, reason):
    path = tmp_path / "bad.json"
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(CourseError, match=reason) as caught:
        read_records(path)
    assert "\n" not in str(caught.value)


def test_a_missing_file_names_the_command_that_fetches_it(tmp_path):
    with pytest.raises(CourseError, match="data fetch finqa"):
        read_records(tmp_path / "none.json")


def test_pages_by_id_are_read_and_checked(tmp_path):
    raw = {name: raw_record()[name] for name in ("pre_text", "post_text", "table")}
    pages = read_pages(written(tmp_path, {"ACME/2018/page_12.pdf": raw}))
    assert pages["ACME/2018/page_12.pdf"] == parse_record(raw_record()).page
    with pytest.raises(CourseError, match=r"page B/1/page_2\.pdf: table: is empty"):
        read_pages(written(tmp_path, {"B/1/page_2.pdf": {"table": []}}))
    with pytest.raises(CourseError, match="not an object of pages"):
        read_pages(written(tmp_path, [raw]))


def test_a_header_name_leads_the_row_sentence():
    assert row_sentences(("( in millions )", "2018"), ("tools", "$ 3")) == "( in millions ) the tools of 2018 is $ 3 ;"


def test_a_report_of_a_hundred_pages_is_read_whole():
    """Nothing is cut and no unit is renamed: 4,000 sentences and 300 rows."""
    raw = raw_record(gold_inds={"text_3999": "last", "table_300": "row"})
    raw["pre_text"] = [f"sentence {number} of the report ." for number in range(2500)]
    raw["post_text"] = [f"sentence {number} of the notes ." for number in range(1500)]
    raw["table"] = [["", "2018"], *([f"row {number}", str(number)] for number in range(300))]
    record = parse_record(raw)
    facts = record.page.facts()
    assert len(facts) == 4301 and record.to_json() == raw
    assert facts["text_3999"] == "sentence 1499 of the notes ." and facts["table_300"] == "the row 299 of 2018 is 299 ;"


@pytest.mark.parametrize("question", ["净销售额增长了多少？", "كم نسبة النمو؟", "कितनी वृद्धि हुई?", "a\u200db", ""])
def test_a_question_in_any_script_survives(tmp_path, question):
    raw = raw_record(question=question)
    raw["table"][1][0] = question or "tools"
    records = read_records(written(tmp_path, [raw]), strict=True).records
    assert records[0].question == question
    assert read_records(write_records(tmp_path / "copy.json", records)).records == records


def test_a_table_that_is_only_a_header_has_one_unit():
    record = parse_record(raw_record(gold_inds={"table_0": ""}) | {"table": [["net sales"]]})
    assert [name for name in record.page.facts() if name.startswith("table")] == ["table_0"]


cells = st.text("ab ,$1", max_size=4)


@given(st.lists(st.lists(cells, min_size=3, max_size=3), min_size=1, max_size=4), st.floats(allow_nan=False))
def test_any_valid_record_survives_the_round_trip(table, answer):
    raw = raw_record(exe_ans=answer if math.isfinite(answer) else "yes", gold_inds={"table_0": "x"}) | {"table": table}
    record = parse_record(raw)
    assert record.to_json() == raw
    assert parse_record(json.loads(json.dumps(record.to_json()))) == record


@pytest.mark.parametrize("split", ["train", "dev"])
def test_real_files_are_read_whole_and_written_back_equal(split, tmp_path):
    path = finqa_folder(f"{split}.json") / f"{split}.json"
    found = read_records(path, strict=True)
    raw = json.loads(path.read_text(encoding="utf-8"))
    assert len(found.records) == len(raw)
    assert len(raw) in {"train": (501, 6251), "dev": (464, 883)}[split]
    assert json.loads(write_records(tmp_path / "copy.json", found.records).read_text()) == raw
    table_facts = [
        (" ".join(record.page.facts()[source].split()).replace(",", " ,"), text.replace(",", " ,"))
        for record in found.records
        for source, text in record.gold_facts.items()
        if source.startswith("table")
    ]
    same = sum(ours.split() == theirs.split() for ours, theirs in table_facts)
    assert same >= 0.94 * len(table_facts)  # the notes: 1,750 of 1,807 gold rows equal the sentence template


def test_real_programs_and_pages_are_read_whole():
    folder = finqa_folder("dev_programs.json", "reports.json")
    assert len(read_records(folder / "dev_programs.json", strict=True).records) == 883
    assert len(read_pages(folder / "reports.json")) == 637
