"""The book's tables of the endpoint come from the benchmark's file, and its fixed figures from the library."""

from finqa_lab.cloud.capacity import instances_for_rate
from finqa_lab.cloud.prices import price_of
from finqa_lab.cloud.scaling import target_per_minute
from finqa_lab.course.results import endpoint, reports
from finqa_lab.files import REPOSITORY


def test_every_table_is_made_from_the_committed_file():
    report = reports.load(endpoint.NAME)
    made = endpoint.fragments(report)
    assert tuple(made) == endpoint.TABLES
    for text in made.values():
        assert "None" not in text and "nan" not in text and report["date"] in text
    first = report["measured"][0]
    assert f"| {first['p50_s']:.2f} | {first['p95_s']:.2f} |" in made["measured"]
    half = [row for row in report["day"]["policies"] if row["policy"].endswith("(half)") and row["routing"] == "random"]
    assert len(half) == 3 and f"{min(row['usd'] for row in half):.0f} to" in made["policies"]


def test_without_a_file_the_command_is_named():
    assert all("benchmarks/endpoint.py" in text for text in endpoint.fragments({}).values())


def test_the_figures_in_the_text_are_those_of_the_library():
    """What the chapters compute by hand, computed again."""
    page = (REPOSITORY / "book" / "deployment" / "autoscaling.md").read_text(encoding="utf-8")
    assert f"= {target_per_minute(0.73)}$ calls a minute" in page and target_per_minute(0.73) == 41
    assert f"{instances_for_rate(5.0, 0.73)} instances" in page
    page = (REPOSITORY / "book" / "deployment" / "sagemaker.md").read_text(encoding="utf-8")
    price = price_of("ml.g5.xlarge", "us-east-1")
    for hours, instances in ((1, 1), (1, 10), (730, 1), (730, 10)):
        assert f"{price.cost(hours, instances):,.2f} USD" in page
