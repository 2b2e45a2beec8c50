"""The built book as one PDF: its pages joined into one document, in the order of the contents, and printed by Chromium.

One document rather than one a page, because then the browser itself makes links between chapters jump inside the PDF,
numbers all pages, and takes the outline (parts, chapters, sections) from the headings. The joined document is a file
beside the pages, so that their style sheets and MathJax are found; it is removed afterwards.
"""

import posixpath
import re
import subprocess
import tempfile
from pathlib import Path
from urllib.parse import unquote, urlsplit

import yaml
from bs4 import BeautifulSoup, Tag

from finqa_lab.course import browser
from finqa_lab.errors import CourseError
from finqa_lab.files import write_atomic

PATIENCE = 900
"""Seconds for the browser to set all equations and print."""
_DROPPED = "script, .headerlink, .copybtn, button, .widget-view, .bd-header-article, .prev-next-area, style"
_API = "book/reference/api"
_HEAD = """<!DOCTYPE html>
<html lang="en" data-theme="light" data-mode="light">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
{styles}
<script>
window.MathJax = {{"options": {{"enableMenu": false, "processHtmlClass": "math", "ignoreHtmlClass": "joined"}}}}
</script>
<script defer src="vendor/mathjax/tex-mml-chtml.js"></script>
</head>
<body class="joined">
<main class="bd-main bd-content bd-article-container" id="paper">
<section class="title-page"><p class="title">{title}</p><p>{note}</p></section>
<nav class="paper-contents" aria-label="Contents">{contents}</nav>
"""


def print_book(html: Path, out: Path, api: bool = False) -> Path:
    """Print the book whose pages lie in ``html`` to the file ``out``; returns it.

    Args:
        html: folder of a built book.
        out: the PDF.
        api: with the pages of docstrings, which are longer than the rest.

    Raises:
        CourseError: when the book is not built, no browser is installed, or the browser fails.
    """
    source = html.parents[1] / "source"
    if not (html / "index.html").is_file() or not (source / "_toc.yml").is_file():
        raise CourseError(f"the book has not been built ({html / 'index.html'} is missing); run `finqa-lab book` first")
    program = browser.find()
    if not program:
        raise CourseError("no Chromium or Chrome is installed; on Debian or Ubuntu: apt-get install chromium")
    joined = write_atomic(html / "_joined.html", document(html, source, api))
    out.parent.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(prefix="finqa-browser-", ignore_cleanup_errors=True) as profile:
            _print(program, joined, out, profile)
    finally:
        joined.unlink()
    return out


def document(html: Path, source: Path, api: bool = False) -> str:
    """The HTML of all pages in one, links between them made into links inside it."""
    title = yaml.safe_load((source / "_config.yml").read_text(encoding="utf-8"))["title"]
    divided = [
        (caption, [name for name in names if api or not name.startswith(_API)])
        for caption, names in parts(source / "_toc.yml")
    ]
    pages = {page: page for _, names in divided for page in names}
    pages["index"] = next(iter(pages))  # a page that leads on to the first one
    body, contents = [], []
    for caption, names in divided:
        if caption:
            body.append(f'<h1 class="part" id="{_anchor(caption)}">{caption}</h1>')
            contents.append(f'<p><a href="#{_anchor(caption)}">{caption}</a></p>')
        items = []
        for name in names:
            article = _article(html, name, pages)
            body.append(f'<section class="chapter">{article}</section>')
            items.append(f'<li><a href="#{_anchor(name)}">{article.find("h2").get_text().strip()}</a></li>')
        contents.append(f"<ul>{''.join(items)}</ul>")
    styles = _styles(html) + f"<style>{_paper_style()}</style>"
    note = "The text is licensed under CC BY 4.0, the code under the MIT licence."
    head = _HEAD.format(title=title, styles=styles, note=note, contents="".join(contents))
    return head + "\n".join(body) + "</main></body></html>"


def parts(toc: Path) -> list[tuple[str, list[str]]]:
    """Captions and pages of a table of contents; the root stands first, without a caption."""
    contents = yaml.safe_load(toc.read_text(encoding="utf-8"))
    found = [("", [contents["root"]])]
    for part in contents.get("parts", []):
        found.append((part["caption"], [name for entry in part["chapters"] for name in _names(entry)]))
    return [(caption, [re.sub(r"\.(md|ipynb)$", "", name) for name in names]) for caption, names in found]


def _names(entry: dict) -> list[str]:
    return [entry["file"], *(name for one in entry.get("sections", []) for name in _names(one))]


def _anchor(name: str, identifier: str = "") -> str:
    """An id that is unique in the joined document."""
    page = re.sub(r"\W+", "-", name)
    return f"{page}--{identifier}" if identifier else page


def _article(html: Path, name: str, pages: dict[str, str]) -> Tag:
    """The article of one page with ids, links and levels of headings as the joined document needs them."""
    page = BeautifulSoup((html / f"{name}.html").read_text(encoding="utf-8"), "html.parser")
    article = page.find("article")
    for tag in article.select(_DROPPED):
        tag.decompose()
    for tag in article.find_all(id=True):
        tag["id"] = _anchor(name, tag["id"])
    for tag in article.find_all(href=True):
        _relink(tag, name, pages)
    for tag in article.find_all("img", src=True):
        if not tag["src"].startswith("data:"):
            tag["src"] = posixpath.normpath(posixpath.join(posixpath.dirname(name), tag["src"]))
    for tag in article.find_all(re.compile(r"^h[1-5]$")):
        tag.name = f"h{int(tag.name[1]) + 1}"
    article["id"] = _anchor(name)
    return article


def _relink(tag: Tag, name: str, pages: dict[str, str]) -> None:
    """Make a link to a page of the book one to its place here; take away a link to what is not printed."""
    address = urlsplit(tag["href"])
    if address.scheme or address.netloc:
        return
    target = (
        posixpath.normpath(posixpath.join(posixpath.dirname(name), unquote(address.path))) if address.path else name
    )
    target = target.removesuffix(".html")
    if target in pages:
        tag["href"] = "#" + _anchor(pages[target], unquote(address.fragment))
    else:
        del tag["href"]


def _styles(html: Path) -> str:
    """The style sheets of the book's pages, in their order."""
    page = BeautifulSoup((html / "genindex.html").read_text(encoding="utf-8"), "html.parser")
    return "".join(str(tag) for tag in page.find_all("link", rel="stylesheet"))


def _paper_style() -> str:
    from finqa_lab.course import labs

    return (labs.root() / "book" / "paper.css").read_text(encoding="utf-8")


def _print(program: str, page: Path, out: Path, profile: str) -> None:
    out.unlink(missing_ok=True)
    options = [
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        f"--user-data-dir={profile}",
    ]
    options += ["--host-resolver-rules=MAP * ~NOTFOUND", "--no-pdf-header-footer", "--generate-pdf-document-outline"]
    options += ["--virtual-time-budget=600000", f"--print-to-pdf={out.resolve()}", page.resolve().as_uri()]
    try:
        done = subprocess.run([program, *options], capture_output=True, text=True, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        raise CourseError(f"the browser did not print within {PATIENCE} s") from None
    if done.returncode or not out.is_file():
        said = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        raise CourseError(f"the browser did not print the book: {said}")
