"""One HTML file a chapter: its slides, reveal.js, MathJax with its fonts, and a style sheet, all inside of the file.

reveal.js (https://revealjs.com) shows the slides, turns them by keyboard, mouse and touch, has an overview, a window
for the speaker and a print view; MathJax sets the equations as in the book. Both are those of ``book/vendor``. The
style is ``book/slides.css``.
"""

import base64
import html
import json
import re
from pathlib import Path

from docutils import nodes
from docutils.core import publish_parts
from docutils.io import DocTreeInput
from docutils.readers.doctree import Reader
from docutils.utils import new_document

from finqa_lab.course import labs, vendor
from finqa_lab.course.slides import read
from finqa_lab.course.slides.split import HEIGHT, WIDTH, Slide, slides
from finqa_lab.errors import CourseError
from finqa_lab.files import write_atomic

_MATHJAX = {
    "startup": {"typeset": True},
    "options": {"enableMenu": False},  # the menu would load its speech rules from the network
    "chtml": {"matchFontHeight": False},  # measures nothing: most slides are hidden when they are set
}
_REVEAL = {
    "width": WIDTH,
    "height": HEIGHT,
    "margin": 0.02,
    "center": False,
    "hash": True,
    "transition": "none",
    "slideNumber": "c/t",
    "pdfMaxPagesPerSlide": 1,
    "showNotes": False,
}
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
{styles}
</head>
<body>
<div class="reveal" role="main">
<div class="slides">
{slides}
</div>
</div>
{scripts}
<script type="text/plain" id="licences">
The text of the slides is licensed under CC BY 4.0. The programs in this file are under these licences:

{licences}
</script>
</body>
</html>
"""
_START = """
const start = () => Reveal.initialize({{...{options}, plugins: [RevealNotes]}});
(window.MathJax?.startup?.promise ?? Promise.resolve()).then(start);
"""


def write(source: Path, chapters: list[str], out: Path) -> list[Path]:
    """Write the decks of some chapters and a page that lists all that are in the folder; returns the decks.

    Args:
        source: the tree that the book was built from, with what its pages include.
        chapters: such as ``["decoder/attention"]``; none means all.
        out: target folder; ``decoder/attention`` becomes ``decoder-attention.html``.

    Raises:
        CourseError: when the book is not built, or a chapter does not exist or cannot be read.
    """
    if not (source / "book").is_dir():
        raise CourseError(f"the book has not been built ({source / 'book'} is missing); run `finqa-lab book` first")
    written = []
    for name in chapters or read.chapters(source):
        document = read.chapter(source, name)
        text = page(slides(document, read.sources(document, source)), _book_title(source))
        written.append(write_atomic(out / f"{name.replace('/', '-')}.html", text))
    items = []
    for name in read.chapters(source):
        deck = out / f"{name.replace('/', '-')}.html"
        if deck.exists():
            title = re.search(r"<title>(.*?)</title>", deck.read_text(encoding="utf-8"), re.DOTALL)[1]
            items.append(f'<li><a href="{deck.name}">{title}</a></li>')
    head = '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Slides</title></head>'
    write_atomic(out / "index.html", f"{head}<body><main><h1>Slides</h1><ol>{''.join(items)}</ol></main></body></html>")
    return written


def page(shown: list[Slide], book: str) -> str:
    """The HTML of a deck."""
    title = html.escape(f"{shown[0].title.astext()}: {book}")
    body = "\n".join(_section(slide, book) for slide in shown)
    has_math = 'class="math"' in body or 'class="math ' in body
    styles = [_vendored("reset.css"), _vendored("reveal.css"), _style()]
    scripts = [f"window.MathJax = {json.dumps(_MATHJAX)};", mathjax()] if has_math else []
    scripts += [_vendored("reveal.js"), _vendored("notes.js"), _START.format(options=json.dumps(_REVEAL))]
    kept = ["reveal", *(["mathjax"] if has_math else [])]
    licences = "\n\n".join((vendor.folder() / name / "LICENSE").read_text(encoding="utf-8") for name in kept)
    return _PAGE.format(
        title=title,
        licences=_inside(licences),
        styles="\n".join(f"<style>\n{text}\n</style>" for text in styles),
        slides=body,
        scripts="\n".join(f"<script>{_inside(text)}</script>" for text in scripts),
    )


def mathjax() -> str:
    """The script of MathJax with its fonts inside of it, so that it asks for no file."""
    folder = vendor.folder() / "mathjax"
    text = (folder / "tex-mml-chtml.js").read_text(encoding="utf-8")
    for font in sorted((folder / "output" / "chtml" / "fonts" / "woff-v2").glob("*.woff")):
        data = base64.b64encode(font.read_bytes()).decode("ascii")
        text = text.replace(f"%%URL%%/{font.name}", f"data:font/woff;base64,{data}")
    return text


def fragment(blocks: list[nodes.Node]) -> str:
    """Some blocks of a document as HTML; formulas stay TeX between the marks that MathJax reads."""
    document = new_document("slide")
    document.settings.__dict__.update(raw_enabled=True, file_insertion_enabled=False)
    document += [block.deepcopy() for block in blocks]
    for node in list(document.findall(nodes.Element)):  # the parts of a divided block would share their names
        node["ids"], node["names"] = [], []
        if "refid" in node and isinstance(node, nodes.reference):  # a section that stands on another slide
            node.replace_self(nodes.emphasis("", "", *node.children))
    settings = {
        "math_output": "MathJax _",
        "syntax_highlight": "none",
        "table_style": "colwidths-auto",
        "initial_header_level": 3,
        "raw_enabled": True,
        "report_level": 5,
    }
    parts = publish_parts(
        source=document,
        source_class=DocTreeInput,
        reader=Reader(parser_name="null"),
        writer_name="html5",
        settings_overrides=settings,
    )
    return parts["body"].strip()


def _section(slide: Slide, book: str) -> str:
    level = "h1" if slide.opens else "h2"
    title = fragment([nodes.paragraph("", "", *(child.deepcopy() for child in slide.title.children))])
    title = re.sub(r"^<p>|</p>$", "", title)
    if slide.continued:
        title += ' <span class="continued">(continued)</span>'
    lines = ['<section class="opening">' if slide.opens else "<section>"]
    lines += [f'<p class="book">{html.escape(book)}</p>'] if slide.opens else []
    lines += [f"<{level}>{title}</{level}>", f'<div class="blocks">\n{fragment(slide.shown)}\n</div>']
    if slide.notes:
        lines.append(f'<aside class="notes">\n{fragment(slide.notes)}\n</aside>')
    return "\n".join([*lines, "</section>"])


def _vendored(name: str) -> str:
    return (vendor.folder() / "reveal" / name).read_text(encoding="utf-8")


def _style() -> str:
    return (labs.root() / "book" / "slides.css").read_text(encoding="utf-8")


def _inside(script: str) -> str:
    """A script that may stand in a page: the mark that would end it early is written otherwise."""
    return re.sub(r"</(script)", r"<\\/\1", script, flags=re.IGNORECASE).replace("<!--", "<\\!--")


def _book_title(source: Path) -> str:
    import yaml

    return yaml.safe_load((source / "_config.yml").read_text(encoding="utf-8"))["title"]
