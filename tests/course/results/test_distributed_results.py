"""The book's tables of distributed training come from the benchmark's file."""

from finqa_lab.course.results import distributed, reports


def test_every_table_is_made_from_the_committed_file():
    report = reports.load(distributed.NAME)
    made = distributed.fragments(report)
    assert tuple(made) == distributed.TABLES
    steps = [line for line in made["steps"].splitlines() if line.startswith("|")]
    assert len(steps) == 2 + len(report["rows"])
    for line in [*steps, *(line for name in made for line in made[name].splitlines() if line.startswith("|"))]:
        assert "None" not in line and "nan" not in line
    longest = max(report["rows"], key=lambda row: row["loopback_bytes"])
    assert f"| {longest['loopback_bytes'] / 1e6:.2f} | {longest['seconds']:.3f} |" in made["steps"]
    assert "does not fit" in made["plans"] and "(estimate)" in made["plans"]
    assert report["date"] in made["cost"] and report["hardware"] in made["cost"]


def test_without_a_file_the_command_is_named():
    made = distributed.fragments({})
    assert all("benchmarks/distributed.py" in text for text in made.values())
