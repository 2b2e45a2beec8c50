"""The book's tables of constrained replies come from the benchmark's file."""

from finqa_lab.course.results import structured

GRAMMAR = {"grammar": "answer", "states": 35, "edges": 1246, "shortest": 7, "longest": 33, "cpu_seconds": 0.021,
           "mask_microseconds": 6.2}  # fmt: skip
REPLY = {"model": "finqa-tiny", "asked_for": "number", "grammar": False, "questions": 200, "unreadable": 83,
         "without_value": 0, "right": 1, "own_way": 199, "cut_off": 12}  # fmt: skip
REPORT = {"date": "2026-01-31", "hardware": "a test machine", "grammars": [GRAMMAR],
          "replies": [REPLY, REPLY | {"asked_for": "program", "grammar": True, "without_value": 3}]}  # fmt: skip


def test_every_table_has_the_figures_of_the_file():
    made = structured.fragments(REPORT)
    assert tuple(made) == structured.TABLES
    assert "| answer | 35 | 1,246 | 7 | 33 | 0.02 | 6 |" in made["grammars"]
    assert "| finqa-tiny | number | no | 83 | 12 |  | 1 | 199 |" in made["replies"]
    assert "| finqa-tiny | program | yes | 83 | 12 | 3 | 1 | 199 |" in made["replies"]
    assert all("a test machine" in text and "2026-01-31" in text for text in made.values())


def test_without_a_file_the_command_is_named():
    assert all("benchmarks/structured.py" in text for text in structured.fragments({}).values())
