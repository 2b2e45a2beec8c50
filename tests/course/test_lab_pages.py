"""What the book puts around each lab: words for every lab, numbers from the golden files, links only when set."""

import pytest

from finqa_lab.course import golden, lab_pages, labs
from finqa_lab.course.settings import Launch
from finqa_lab.errors import CourseError
from tests.course import toy

LABS = labs.lab_names()
LAUNCH = Launch("https://github.com/owner/course/", "spring", jupyterhub="https://hub.example.org/")


def test_every_lab_has_words_and_nothing_else_has():
    assert list(lab_pages.words()) == LABS


@pytest.mark.parametrize("lab", LABS)
def test_the_numbers_at_the_end_are_metrics_of_the_lab(lab):
    shown, entries = lab_pages.words()[lab]["measured"], golden.load(lab)
    assert 5 <= len(shown) <= 12 and not set(shown) - set(entries)
    assert all(8 <= len(meaning) <= 110 and not meaning.endswith(".") for meaning in shown.values())
    table = lab_pages.measured(lab)
    assert table.startswith("## What you measured\n")
    for name in shown:
        (row,) = [line for line in table.splitlines() if f"| `{name}` |" in line]
        assert row.endswith(f"| {golden.describe(entries[name])} |")


def test_a_metric_that_the_lab_does_not_record_is_one_sentence(monkeypatch):
    entry = {"hardware": "one CPU thread", "measured": {"no_such_metric": "nothing"}}
    monkeypatch.setattr(lab_pages, "words", lambda: {LABS[0]: entry})
    with pytest.raises(CourseError, match="has no metric 'no_such_metric'; its metrics are in .*golden"):
        lab_pages.measured(LABS[0])


def test_without_a_repository_the_opening_has_hardware_and_no_link():
    text = lab_pages.opening(LABS[0], Launch(jupyterhub="https://hub.example.org"), 93.8)
    assert "One CPU thread; no GPU" in text and "took 94 s" in text
    assert "Open in" not in text and "http" not in text


def test_each_configured_place_is_one_plain_link():
    found = dict(lab_pages.launch_links("06_lora", LAUNCH))
    path = "labs/06_lora.ipynb"
    assert found == {
        "Colab": f"https://colab.research.google.com/github/owner/course/blob/spring/{path}",
        "Binder": f"https://mybinder.org/v2/gh/owner/course/spring?urlpath=lab/tree/{path}",
        "JupyterHub": "https://hub.example.org/hub/user-redirect/git-pull?repo=https%3A%2F%2Fgithub.com%2Fowner%2Fcourse"
        "&branch=spring&urlpath=lab%2Ftree%2Fcourse%2Flabs%2F06_lora.ipynb",
    }
    text = lab_pages.opening("06_lora", LAUNCH)
    assert all(f"[{name}]({address})" in text for name, address in found.items()) and "![" not in text


def test_colab_is_offered_for_github_only_and_binder_for_any_host():
    found = dict(lab_pages.launch_links("06_lora", Launch("https://git.example.org/a/b.git")))
    assert set(found) == {"Binder"} and "/v2/git/https%3A%2F%2Fgit.example.org%2Fa%2Fb.git/main" in found["Binder"]


def test_a_page_opens_and_ends_with_them_and_the_notebook_is_untouched(monkeypatch):
    notebook = toy.graded_notebook()
    before = [cell.id for cell in notebook.cells]
    page = lab_pages.framed(toy.graded_notebook(), LABS[0], 120.0)
    assert [cell.id for cell in page.cells] == [before[0], "book-opening", *before[1:], "book-measured"]
    assert "took 2.0 minutes" in page.cells[1].source
    assert not [cell for cell in labs.read_notebook(labs.solution_path(LABS[0])).cells if cell.id.startswith("book-")]


def test_broken_words_are_one_sentence(toy_course):
    folder = toy_course()
    (folder / "book").mkdir(exist_ok=True)
    (folder / "book" / "labs.yml").write_text("01_toy: {hardware: one}")
    with pytest.raises(CourseError, match="labs.yml cannot be used; each lab has 'hardware' and 'measured'"):
        lab_pages.words()
