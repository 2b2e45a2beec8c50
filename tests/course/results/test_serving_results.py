"""The book's tables of the serving benchmark come from its file."""

import pytest

from finqa_lab.course.results import reports, serving

REPORT = {
    "hardware": "a test machine", "date": "2026-01-31", "note": "", "load_average_before": 0.1,
    "load_average_after": 0.2,
    "rows": [
        {"peer": "ours", "concurrency": 1, "tokens_a_second": 150.4, "tokens_a_cpu_second": 160.0, "same": 1.0,
         "ttft_p50": 0.05, "tpot_p50": 0.006},
        {"peer": "ours", "concurrency": 8, "tokens_a_second": 601.0, "tokens_a_cpu_second": 640.0, "same": 0.5,
         "ttft_p50": 0.07, "tpot_p50": 0.012},
        {"peer": "serial", "concurrency": 1, "tokens_a_second": 140.0, "tokens_a_cpu_second": 141.0},
    ],
    "ratios": {"tokens_a_second": {"ours / llama at 8": 0.951}, "tokens_a_cpu_second": {"ours / llama at 8": 0.93}},
    "overload": [
        {"waiting": 8, "arrivals_a_second": 9.21, "served": 90, "refused": 30, "goodput": 5.04,
         "ttft": {"p95": {"value": 0.931}}},
        {"waiting": 10_000, "arrivals_a_second": 9.21, "served": 120, "refused": 0, "goodput": 1.2,
         "ttft": {"p95": {"value": 5.2}}},
    ],
    "cost_model": {
        "measured": {"1": 100.0, "8": 400.0},
        "bare roofline": {"predicted": {"1": 110.0, "8": 300.0}},
    },
}  # fmt: skip


def test_every_table_has_the_figures_of_the_file():
    made = serving.fragments(REPORT)
    assert tuple(made) == serving.TABLES
    assert "| this course's server | 150 | 601 | 75% |" in made["speeds"]
    assert "| the plain loop, without HTTP | 140 |  |  |" in made["speeds"]
    assert "| ours / llama at 8 | 0.95 | 0.93 |" in made["ratios"]
    assert "| this course's server | 8 | 70 | 12.0 |" in made["waits"]
    assert "| 8 may wait | 9.2 | 90 | 30 | 0.93 | 5.0 |" in made["overload"] and "| no bound |" in made["overload"]
    assert "| bare roofline | 110 | 300 | 25% |" in made["cost_model"]
    for text in made.values():
        assert "a test machine" in text and "2026-01-31" in text and "load 0.1 before" in text


def test_without_a_file_the_command_is_named():
    assert all("benchmarks/serving.py" in text for text in serving.fragments({}).values())


@pytest.mark.skipif(not reports.load(serving.NAME), reason="benchmarks/results/serving.json is not in this checkout")
def test_the_committed_file_makes_every_table():
    report = reports.load(serving.NAME)
    for text in serving.fragments(report).values():
        assert report["date"] in text and "nan" not in text and "None" not in text
