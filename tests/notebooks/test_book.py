"""Both editions of the book, built strictly from the executed labs, and what a reader's browser would load."""

import json
import re
import shutil

import pytest
from bs4 import BeautifulSoup

from finqa_lab.course import audit, book, browser, inspection, lab_pages, labs, links, release, settings
from finqa_lab.course.figures import alt_problem
from finqa_lab.course.slides import deck
from tests.notebooks.conftest import LABS

pytestmark = pytest.mark.xdist_group("book")
REPOSITORY = "https://github.com/example/course"


@pytest.fixture(scope="module")
def run_folder(executed):
    for lab in reversed(LABS):  # the group "labs" begins at the other end: two workers meet in the middle
        assert executed(lab).status == "passed", executed(lab).detail
    return labs.root() / "_build" / "run" / "smoke"


@pytest.fixture(scope="module")
def student(run_folder, tmp_path_factory):
    return book.build(run_folder, tmp_path_factory.mktemp("student") / "book")


@pytest.fixture(scope="module")
def instructor(run_folder, tmp_path_factory):
    """The instructor edition, built with a repository set, so that its pages have launch buttons."""
    patch = pytest.MonkeyPatch()
    launch = settings.Launch(REPOSITORY, "spring", jupyterhub="https://hub.example.org")
    patch.setattr(settings, "launch", lambda: launch)
    try:
        return book.build(run_folder, tmp_path_factory.mktemp("instructor") / "book", instructor=True)
    finally:
        patch.undo()


def test_the_book_is_one_group_so_that_no_worker_builds_it_again(request):
    """Some versions of pytest and pytest-xdist do not go together: groups are then ignored in silence."""
    if request.config.getoption("loadgroup", False):  # a worker of `--dist loadgroup`
        assert request.node.nodeid.endswith("@book")


def pages(html):
    return book.toc_pages(html.parents[1] / "source" / "_toc.yml")


def test_every_page_of_the_contents_is_there(student):
    names = pages(student)
    assert len(names) == len(set(names)) == 81
    for name in names:
        assert (student / f"{name}.html").stat().st_size > 5000, name


def test_every_image_has_meaningful_alt_text(student):
    images = 0
    for name in pages(student):
        page = BeautifulSoup((student / f"{name}.html").read_text(encoding="utf-8"), "html.parser")
        for image in page.find("article").find_all("img"):
            images += 1
            assert alt_problem(image.get("alt") or "") == "", name
    assert images >= 6


def test_nothing_is_loaded_from_the_network(student):
    for path in student.rglob("*.html"):
        found = audit.network_problems(path.read_text(encoding="utf-8"))
        assert found == [], path
    for script in ("mathjax/tex-mml-chtml.js", "widgets/require.js", "widgets/fonts.js", "widgets/embed-amd.js"):
        assert (student / "vendor" / script).is_file()
    assert list((student / "vendor" / "widgets").glob("*.woff2")) and not (student / "vendor" / "axe").exists()
    for sheet in student.rglob("*.css"):
        assert audit.style_problems(sheet.read_text(encoding="utf-8", errors="replace")) == [], sheet
    chapter = (student / "book" / "arithmetic" / "index.html").read_text(encoding="utf-8")
    assert "vendor/mathjax/tex-mml-chtml.js" in chapter


@pytest.mark.parametrize("lab", LABS)
def test_the_student_edition_holds_no_solution(student, instructor, lab):
    solution = labs.read_notebook(labs.solution_path(lab))
    lines = release.solution_lines(solution)
    for edition, expected in ((student, False), (instructor, True)):
        text = "\n".join(
            BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser").get_text() if path.suffix == ".html" else
            path.read_text(encoding="utf-8")
            for path in [edition / "labs" / f"{lab}.html", *(edition / "_sources" / "labs").glob(f"{lab}*")]
        )  # fmt: skip
        flat = " ".join(text.split())
        assert any(line in flat for line in lines) is expected
    assert "[right]" in (student / "labs" / f"{lab}.html").read_text(encoding="utf-8"), "the outputs are shown"


@pytest.mark.parametrize("lab", LABS)
def test_launch_buttons_follow_the_one_setting(student, instructor, lab):
    def links(html):
        page = BeautifulSoup((html / "labs" / f"{lab}.html").read_text(encoding="utf-8"), "html.parser")
        return [a["href"] for a in page.find_all("a", href=True)]

    assert not [href for href in links(student) if "colab" in href or "binder" in href or "user-redirect" in href]
    found = " ".join(links(instructor))
    for part in ("colab.research.google.com", "mybinder.org", "hub.example.org/hub/user-redirect/git-pull", "spring"):
        assert part in found
    assert re.search(rf"labs(/|%2F){lab}\.ipynb", found)


@pytest.mark.parametrize("lab", LABS)
def test_a_lab_s_page_opens_with_its_hardware_and_ends_with_the_numbers_to_expect(student, instructor, lab):
    for edition, linked in ((student, False), (instructor, True)):
        markup = (edition / "labs" / f"{lab}.html").read_text(encoding="utf-8")
        article = BeautifulSoup(markup, "html.parser").find("article")
        opening = next(one for one in article.find_all("p") if one.get_text().startswith("Hardware"))
        addresses = [link["href"] for link in opening.find_all("a") if link["href"].startswith("http")]
        before = opening.find_previous("h2")  # the one of the list of contents, which stands outside of the article
        assert before is None or article not in before.parents
        assert len(addresses) == 3 * linked and not opening.find("img")
        assert article.find_all("h2")[-1].get_text().startswith("What you measured")
        rows = article.find_all("table")[-1].find_all("tr")[1:]
        shown = [row.find_all("td")[1].get_text(strip=True) for row in rows]  # a meaning may hold code too
        assert shown == list(lab_pages.words()[lab]["measured"])


def test_every_link_and_anchor_inside_the_book_leads_somewhere(student, instructor):
    assert links.problems(student) == [] and links.problems(instructor) == []


@pytest.mark.skipif(not browser.find(), reason="no Chromium or Chrome is installed")
def test_readers_meet_no_fault_on_a_page_of_each_kind(student):
    """Every page takes minutes: ``finqa-lab inspect`` does that by night."""
    kinds = ["book/index", "book/decoder/attention", "labs/02_kv_cache", "book/reference/metrics"]
    assert [str(one) for one in inspection.inspect(student, kinds)] == []


def test_parameter_and_metric_tables_are_the_generated_ones(student):
    text = (student / "book" / "reference" / "parameters.html").read_text(encoding="utf-8")
    assert "steps" in text and "smoke" in text
    text = (student / "book" / "reference" / "metrics.html").read_text(encoding="utf-8")
    assert "exhaustive_wrong" in text


def test_slides_show_the_figures_of_the_labs(student, tmp_path):
    (path,) = deck.write(student.parents[1] / "source", ["decoder/attention"], tmp_path)
    page = BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
    assert {alt_problem(image["alt"]) for image in page.select("section img")} == {""}


def test_a_warning_fails_the_build(run_folder, tmp_path, monkeypatch):
    """The strictness itself: a page with a broken reference must not build."""
    root = tmp_path / "course"
    (root / "book").mkdir(parents=True)
    (root / "solutions").mkdir()
    (root / "_toc.yml").write_text("format: jb-book\nroot: book/index\n")
    config = {"title": "A book", "author": "Nobody", "only_build_toc_files": True}
    (root / "_config.yml").write_text(json.dumps(config))  # JSON is YAML
    monkeypatch.setenv("FINQA_LAB_COURSE", str(root))
    (root / "book" / "index.md").write_text("# Title\n\nSee {doc}`/book/nowhere`.\n")
    with pytest.raises(book.CourseError, match="does not build: .*WARNING.*nowhere"):
        book.build(run_folder, tmp_path / "out")
    (root / "book" / "index.md").write_text("# Title\n\n![](picture.png)\n")
    shutil.copy(next(iter((labs.root() / "book").rglob("*.png")), _pixel(tmp_path)), root / "book" / "picture.png")
    with pytest.raises(book.CourseError, match="has 1 faults; the first: .*alt text"):
        book.build(run_folder, tmp_path / "out")


def _pixel(folder):
    from PIL import Image

    Image.new("RGB", (4, 4)).save(folder / "pixel.png")
    return folder / "pixel.png"
