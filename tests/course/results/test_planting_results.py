"""The book's table of the planted head comes from the benchmark's file."""

from finqa_lab.course.results import planting

ROW = {"planted": False, "loss": 1.5, "repetition_gain": 0.004, "known": dict.fromkeys(planting.SHOWN, 7)}
REPORT = {"date": "2026-01-31", "hardware": "a test machine", "steps": 200, "seed": 3, "questions": 100,
          "rows": [ROW, ROW | {"planted": True, "loss": 1.25}]}  # fmt: skip


def test_the_table_has_the_figures_of_the_file():
    text = planting.fragments(REPORT)["steps"]
    assert "| not planted | 1.500 | 0.00 | 7 | 7 | 7 |" in text and "| planted | 1.250 |" in text
    assert "after 200 steps" in text and "a test machine" in text and "seed 3" in text


def test_without_a_file_the_command_is_named():
    assert "benchmarks/planting.py" in planting.fragments({})["steps"]
