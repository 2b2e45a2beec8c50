"""Tables of the adaptation benchmark: figures from its JSON, and a command where there is none."""

from finqa_lab.course.results import adaptation, reports

TASKS = {"sizing": [40, 50], "volatility": [50, 50]}
SPLIT = {"asked": 100, "within": 90, "exact": 80, "structure": 1, "numeric": [95, 100], "tasks": TASKS}
ROW = {
    "name": "program, seed 0",
    "trained": 448_512,
    "optimizer_bytes": 3_588_096,
    "cpu_seconds": 321.4,
    "forgetting": {"reports": 0.5, "filings": 0.7},
    "validation": SPLIT,
    "phrasing": SPLIT | {"within": 50},
}
BASE = {"name": "base", "validation": SPLIT | {"within": 0, "numeric": [0, 100]}, "phrasing": SPLIT}
REPORT = {"hardware": "a machine", "date": "2026-01-02", "base": [BASE], "program": [ROW]}


def test_a_row_has_its_own_figures_and_where_they_were_measured():
    text = adaptation.fragments(REPORT)["main"]
    for piece in ("| program, seed 0 | 95% (89 to 98) | 90% (83 to 94) | 50% (40 to 60) |", "448,512", "3.6 MB", "321",
                  "+0.60", "--only base program`, a machine, 2026-01-02"):  # fmt: skip
        assert piece in text, piece
    assert "| base | 0% (0 to 4) |" in text
    assert all(line.count("|") == 9 for line in text.splitlines() if line.startswith("|"))


def test_tasks_have_a_column_for_each_model_and_split():
    text = adaptation.fragments(REPORT)["tasks"]
    assert "| task | base, validation | base, phrasing | program, validation | program, phrasing |" in text
    assert "| sizing | 80% (67 to 89) |" in text


def test_what_was_not_measured_says_by_which_command_it_would_be():
    made = adaptation.fragments({})
    assert set(made) == {"main", "rates", "ranks", "targets", "samples", "tasks"}
    assert all("Not measured" in text for text in made.values()) and "--only ranks`" in made["ranks"]
    assert "Not measured" in adaptation.fragments(REPORT)["ranks"]


def test_a_checkout_without_a_report_has_an_empty_one(monkeypatch, tmp_path):
    monkeypatch.setattr(reports, "report_path", lambda name: tmp_path / f"{name}.json")
    assert reports.load(adaptation.NAME) == {}
