"""The book on paper: pages joined in the order of the contents, links inside of it, and what the command says."""

import re

import pytest
from bs4 import BeautifulSoup

from finqa_lab.cli import main
from finqa_lab.course import browser, paper
from finqa_lab.files import REPOSITORY

TOC = """format: jb-book
root: book/index
parts:
  - caption: One
    chapters:
      - file: book/one/a
        sections:
          - file: book/one/b.md
  - caption: Reference
    chapters:
      - file: book/reference/api
"""
PAGE = """<html><head><link rel="stylesheet" href="x.css"></head><body><article class="bd-article">
<section id="top"><h1>{name}<a class="headerlink" href="#top">#</a></h1><button>Copy</button>{body}</section>
<script>alert(1)</script></article></body></html>"""
LINKS = """<h2 id="sub">Sub</h2><p id="p">
<a href="../../index.html">root</a><a href="b.html#sub">b</a><a href="#p">here</a>
<a href="../reference/api.html">api</a><a href="../../_modules/m.html">source</a><a href="https://x.org/">out</a></p>
<img src="../../_images/i.png" alt="A picture"><p><span class="math notranslate">\\(x^2\\)</span></p>"""


@pytest.fixture
def built(tmp_path):
    """A book of four pages as Jupyter Book leaves it."""
    source, html = tmp_path / "source", tmp_path / "_build" / "html"
    for folder in (source, html / "book" / "one", html / "book" / "reference"):
        folder.mkdir(parents=True)
    (source / "_toc.yml").write_text(TOC)
    (source / "_config.yml").write_text("title: A book\n")
    pages = {"book/index": "", "book/one/a": LINKS, "book/one/b": '<h2 id="sub">Sub</h2>', "book/reference/api": ""}
    for name, body in pages.items():
        (html / f"{name}.html").write_text(PAGE.format(name=f"Page {name}", body=body))
    for name in ("index", "genindex"):
        (html / f"{name}.html").write_text(PAGE.format(name=name, body=""))
    return html


def joined(html, **options):
    return BeautifulSoup(paper.document(html, html.parents[1] / "source", **options), "html.parser")


def test_pages_stand_in_the_order_of_the_contents_one_level_below_their_part(built):
    page = joined(built, api=True)
    headings = [(tag.name, tag.get_text()) for tag in page.find_all(re.compile("h[12]$"))]
    assert headings == [
        ("h2", "Page book/index"), ("h1", "One"), ("h2", "Page book/one/a"), ("h2", "Page book/one/b"),
        ("h1", "Reference"), ("h2", "Page book/reference/api"),
    ]  # fmt: skip
    assert "Page book/reference/api" not in joined(built).get_text()


def test_every_link_inside_the_book_leads_to_a_place_that_is_there(built):
    page = joined(built)
    ids = [tag["id"] for tag in page.find_all(id=True)]
    assert len(ids) == len(set(ids))
    inside = [tag["href"] for tag in page.find_all("a", href=True) if tag["href"].startswith("#")]
    assert {address[1:] for address in inside} <= set(ids) and len(inside) >= 7
    (a,) = page.select("#book-one-a--p")
    assert [tag.get("href") for tag in a.find_all("a")] == [
        "#book-index", "#book-one-b--sub", "#book-one-a--p", None, None, "https://x.org/"
    ]  # fmt: skip
    assert page.find("img")["src"] == "_images/i.png"


def test_buttons_and_scripts_of_pages_are_left_out(built):
    page = joined(built)
    assert not page.select("button, .headerlink") and "alert(1)" not in str(page)


def test_all_parts_of_the_real_contents_are_read():
    from finqa_lab.course.book import toc_pages

    found = paper.parts(REPOSITORY / "_toc.yml")
    assert [name for _, names in found for name in names] == toc_pages(REPOSITORY / "_toc.yml")


def test_what_is_missing_is_one_sentence(built, tmp_path, monkeypatch, capsys):
    assert main(["pdf", "--html", str(tmp_path / "none"), "--out", str(tmp_path / "x.pdf")]) == 2
    assert "the book has not been built" in capsys.readouterr().err
    monkeypatch.setattr(browser, "find", lambda: "")
    assert main(["pdf", "--html", str(built), "--out", str(tmp_path / "x.pdf")]) == 2
    assert "no Chromium or Chrome is installed" in capsys.readouterr().err
    monkeypatch.setattr(browser, "find", lambda: "false")
    assert main(["pdf", "--html", str(built), "--out", str(tmp_path / "x.pdf")]) == 2
    assert "the browser did not print the book" in capsys.readouterr().err
    assert not (built / "_joined.html").exists()


@pytest.mark.skipif(not browser.find(), reason="no Chromium or Chrome is installed")
def test_the_pdf_has_pages_tags_links_and_an_outline(built, tmp_path, capsys):
    assert main(["pdf", "--html", str(built), "--out", str(tmp_path / "book.pdf")]) == 0
    content = (tmp_path / "book.pdf").read_bytes()
    assert content.startswith(b"%PDF-") and b"/StructTreeRoot" in content
    assert len(re.findall(rb"/Type /Page\b", content)) >= 5
    titles = re.findall(rb"/Title \(([^)]*)\)", content)
    for title in (b"One", b"Page book/one/a", b"Sub"):
        assert title in titles
    assert content.count(b"/Dest /") >= 5
