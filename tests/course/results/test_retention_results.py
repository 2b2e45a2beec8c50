"""The book's retention curve comes from the benchmark's file."""

from finqa_lab.course.results import retention

SHAPES = ("all", "window", "sinks")
ROW = {"distance": 32} | {f"new, {s}": 1.5 for s in SHAPES} | {f"seen, {s}": 1.25 for s in SHAPES}
REPORT = {"date": "2026-01-31", "hardware": "a test machine", "rows": [ROW | {"seen, window": 1.625}],
          "whole_rows": 20, "mean_loss": {"all": 0.7, "window": 0.71}}  # fmt: skip


def test_the_curve_has_what_a_copy_saves():
    made = retention.fragments(REPORT)
    assert "| 32 | 1.50 | 1.25 | +0.25 | -0.12 | +0.25 |" in made["curve"] and "a test machine" in made["curve"]
    assert "20 whole rows" in made["mean"] and "0.700 nats" in made["mean"] and "0.710" in made["mean"]


def test_without_a_file_the_command_is_named():
    assert all("benchmarks/retention.py" in text for text in retention.fragments({}).values())
