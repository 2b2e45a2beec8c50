"""Every chapter makes a deck in which nothing of the chapter is lost; in a browser, nothing runs over an edge."""

import re
import shutil
from collections import Counter

import pytest
from bs4 import BeautifulSoup
from docutils import nodes

from finqa_lab.cli import main
from finqa_lab.course import audit, book, browser, figures
from finqa_lab.course.slides import deck, measure, read, split
from finqa_lab.errors import CourseError
from finqa_lab.files import REPOSITORY

CHAPTERS = read.chapters(REPOSITORY)
ALT = "A stand-in for a figure of a lab that was not executed for this test: an empty frame."
needs_browser = pytest.mark.skipif(not browser.find(), reason="no Chromium or Chrome is installed")


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """What the book is built from, with an empty frame in place of each figure that a lab draws."""
    folder = tmp_path_factory.mktemp("source")
    shutil.copytree(REPOSITORY / "book", folder / "book", ignore=shutil.ignore_patterns("vendor"))
    for name in ("_toc.yml", "_config.yml"):
        shutil.copy(REPOSITORY / name, folder / name)
    generated = folder / "book" / "_generated"
    book.write_fragments(generated)
    fig, _ = figures.axes()
    png, width = figures.picture(fig)
    frame = figures.picture_markup(png, caption="A frame.", alt=ALT, width=width)
    for page in (folder / "book").rglob("*.md"):
        for name in re.findall(r"_generated/(figure_\S+\.md)", page.read_text(encoding="utf-8")):
            if not (generated / name).exists():
                (generated / name).write_text(f"```{{raw}} html\n{frame}\n```\n", encoding="utf-8")
    return folder


def slides_of(source, name):
    document = read.chapter(source, name)
    return document, split.slides(document, read.sources(document, source))


def words(blocks):
    text = " ".join(node.astext() for one in blocks for node in one.findall(nodes.Text) if not is_markup(node))
    return Counter(re.findall(r"\w+", text))


def is_markup(node):
    """Whether a text is none that a reader sees: HTML, a comment, a remark of the parser."""
    while node is not None and not isinstance(node, (nodes.raw, nodes.comment, nodes.system_message)):
        node = node.parent
    return node is not None


@pytest.mark.parametrize("name", CHAPTERS)
def test_nothing_of_a_chapter_is_lost_and_no_slide_is_empty(source, name):
    document, shown = slides_of(source, name)
    assert len(shown) >= 1 + sum(1 for _ in document.findall(nodes.section)) / 2
    assert all(slide.shown and any(one.astext().strip() for one in slide.shown) for slide in shown)
    everything = [slide.title for slide in shown] + [one for slide in shown for one in slide.shown + slide.notes]
    assert not words([document]) - words(everything)
    for kind in (nodes.math, nodes.math_block, nodes.raw, nodes.image, nodes.literal_block):
        if kind is not nodes.literal_block:  # long ones are divided; their words are counted above
            had, has = (Counter(node.astext() for one in where for node in one.findall(kind))
                        for where in ([document], everything))  # fmt: skip
            assert not had - has


@pytest.mark.parametrize("name", CHAPTERS)
def test_every_displayed_equation_of_the_markdown_is_read_as_one(source, name):
    text = (source / "book" / f"{name}.md").read_text(encoding="utf-8")
    found = [" ".join(node.astext().split()) for node in read.chapter(source, name).findall(nodes.math_block)]
    for equation in re.findall(r"(?s)\$\$(.*?)\$\$", text):
        assert " ".join(equation.split()) in found


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_deck_is_one_file_with_headings_descriptions_and_no_trace_of_the_markup(source, name):
    document, shown = slides_of(source, name)
    markup = deck.page(shown, "A book")
    assert audit.page_problems(markup) == []
    page = BeautifulSoup(markup, "html.parser")
    assert not page.find_all(["link", "iframe"]) and not page.find_all("script", src=True)
    assert all(image["src"].startswith("data:") for image in page.find_all("img"))
    sections = page.select(".slides > section")
    assert len(sections) == len(shown) and all(len(one.find_all(["h1", "h2"])) == 1 for one in sections)
    for code in page.select(".slides pre, .slides .literal"):
        code.clear()
    text = page.select_one(".slides").get_text()
    assert not re.search(r"```|:::|\$\$|\{(doc|cite|numref|include|list-table|term)\b|\]\(|\(\w[\w-]*\)=", text)


def test_pages_that_are_looked_up_have_no_slides():
    assert "decoder/attention" in CHAPTERS and "tokenizers/index" in CHAPTERS
    assert not [name for name in CHAPTERS if name.startswith(("start", "instructor", "reference"))]


def parsed(source, text):
    return read.parse(text, source / "book" / "page.md", source)


def test_the_sentence_that_leads_into_an_equation_is_shown_with_it_and_the_rest_is_for_the_speaker(source):
    text = "# A\n\n## B\n\nOne sentence that is long enough to stand alone here. Second. Third. With $w$ the sum is"
    text += "\n\n$$s = w$$\n"
    filler = "\n\n".join("A sentence of some length that fills the slide, so that nothing more has room on it."
                         + " And its second one." for _ in range(12))  # fmt: skip
    shown = split.slides(parsed(source, text + "\n" + filler))
    first = shown[1]
    assert [one.astext().strip() for one in first.shown[:3]] == [
        "One sentence that is long enough to stand alone here.", "With w the sum is", "s = w"
    ]  # fmt: skip
    assert first.notes[0].astext().strip() == "Second. Third."
    assert len(shown) > 2 and shown[2].continued and shown[2].title.astext() == "B"


@pytest.mark.parametrize(
    "text, count",
    [("It is so, e.g. here. Then more.", 2), ("By J. Smith et al. The rest.", 1), ("Is it? (Yes.) 12 are.", 3),
     ("A value of 3.5 holds. `code` follows.", 2), ("Version 2.0 of it", 1)],
)  # fmt: skip
def test_sentences_end_where_they_end(source, text, count):
    paragraph = parsed(source, f"# A\n\n{text}\n").next_node(nodes.paragraph)
    found = split.sentences(paragraph)
    assert len(found) == count and "".join(one.astext() for one in found) == paragraph.astext()


def test_a_tall_table_goes_on_with_its_header_and_a_long_list_with_its_number(source):
    rows = "\n".join(f"| {number} | row |" for number in range(30))
    items = "\n".join(f"{number}. item" for number in range(1, 31))
    shown = split.slides(parsed(source, f"# A\n\n## T\n\n| head | b |\n|---|---|\n{rows}\n\n## L\n\n{items}\n"))
    tables = [table for slide in shown for one in slide.shown for table in one.findall(nodes.table)]
    assert len(tables) > 1 and all("head" in table.astext() for table in tables)
    lists = [one for slide in shown for one in slide.shown if isinstance(one, nodes.enumerated_list)]
    assert len(lists) > 1 and lists[1]["start"] == 1 + len(lists[0].children)


def test_a_fault_of_the_markdown_is_one_sentence(source):
    with pytest.raises(CourseError, match="page.md cannot be made into slides: .*nowhere"):
        parsed(source, "# A\n\n{nowhere}`x`\n")
    with pytest.raises(CourseError, match="nothing is known of the citation nobody1900"):
        parsed(source, "# A\n\n{cite}`nobody1900`\n")


def test_the_command_writes_what_is_asked_for_and_says_what_is_missing(source, tmp_path, capsys):
    assert main(["slides", "decoder/roofline", "--source", str(source), "--out", str(tmp_path / "out")]) == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"decoder-roofline.html", "index.html"}
    assert "decoder-roofline.html" in (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert main(["slides", "nothing", "--source", str(source), "--out", str(tmp_path)]) == 2
    assert "there is no chapter 'nothing'" in capsys.readouterr().err
    assert main(["slides", "--source", str(tmp_path / "none"), "--out", str(tmp_path)]) == 2
    assert "run `finqa-lab book` first" in capsys.readouterr().err


@needs_browser
@pytest.mark.slow
def test_no_slide_of_any_chapter_runs_over_an_edge(source, tmp_path):
    decks = deck.write(source, [], tmp_path)
    assert len(decks) == len(CHAPTERS)
    assert measure.faults(tmp_path, [path.name for path in decks]) == []


@needs_browser
def test_what_runs_over_an_edge_or_is_not_set_is_noticed(source, tmp_path):
    document = parsed(source, "# A title\n\nText with $x$.\n\n## B\n\nMore text.\n")
    shown = split.slides(document)
    shown[1].shown = [nodes.paragraph("", f"line {number}") for number in range(40)]
    markup = deck.page(shown, "A book")
    (tmp_path / "tall.html").write_text(markup, encoding="utf-8")
    (tmp_path / "unset.html").write_text(markup.replace(deck.mathjax()[:2000], "//"), encoding="utf-8")
    found = measure.faults(tmp_path, ["tall.html"])
    assert len(found) == 1 and "slide 2 (B) reaches" in found[0]
    assert any("that is not set" in fault for fault in measure.faults(tmp_path, ["unset.html"]))
