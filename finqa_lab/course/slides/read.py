"""A chapter's Markdown as a docutils document, read by the book's own parser without the rest of the book.

MyST-Parser (https://myst-parser.readthedocs.io) reads Markdown, mathematics, tables and directives. What only Sphinx
knows is put in here: references to pages become their titles, citations become author and year, exercises become boxes.
"""

import functools
import re
from pathlib import Path

from docutils import nodes
from docutils.core import publish_doctree
from docutils.parsers.rst import directives, roles
from docutils.parsers.rst.directives.admonitions import BaseAdmonition
from docutils.utils import SystemMessage

from finqa_lab.errors import CourseError

EXTENSIONS = ("colon_fence", "dollarmath", "linkify", "substitution", "tasklist")
"""The extensions of Markdown that Jupyter Book reads by default."""
NOT_CHAPTERS = ("book/start/", "book/interactive/", "book/instructor/", "book/reference/")
"""Folders of pages that are looked up or tried out, not taught."""


class _Exercise(BaseAdmonition):
    """An exercise of sphinx-exercise as a box with a title."""

    optional_arguments = 1
    option_spec = {"label": directives.unchanged, "class": directives.class_option, "nonumber": directives.flag}
    node_class = nodes.admonition

    def run(self):
        label = self.options.pop("label", "")
        title = self.arguments[0] if self.arguments else "Exercise"
        self.arguments = [title]
        boxes = super().run()
        boxes[0]["classes"].append("exercise")
        if label:
            boxes[0]["names"].append(nodes.fully_normalize_name(label))
        return boxes


def chapters(source: Path) -> list[str]:
    """Chapters of a source tree in the order of its contents, without ``book/`` and extension.

    Args:
        source: folder with ``_toc.yml`` and ``book/``; the repository, or what the book was built from.
    """
    from finqa_lab.course.book import toc_pages

    pages = [page for page in toc_pages(source / "_toc.yml") if page.count("/") == 2]
    return [page.removeprefix("book/") for page in pages if not page.startswith(NOT_CHAPTERS)]


def chapter(source: Path, name: str) -> nodes.document:
    """The document of one chapter, such as ``"decoder/attention"``, with what it includes.

    Raises:
        CourseError: when there is no such chapter, or the parser finds fault with it.
    """
    path = source / "book" / f"{name}.md"
    if name not in chapters(source):
        raise CourseError(f"there is no chapter {name!r}; the first of the book is {chapters(source)[0]!r}")
    return parse(path.read_text(encoding="utf-8"), path, source)


def parse(text: str, path: Path, source: Path) -> nodes.document:
    """The document of a page's ``text``; ``path`` is where its includes are looked up, ``source`` the book's folder."""
    from myst_parser.parsers.docutils_ import Parser

    directives.register_directive("exercise", _Exercise)
    _register_roles(path, source)
    settings = {
        "myst_enable_extensions": list(EXTENSIONS),
        "doctitle_xform": False,
        "smart_quotes": True,
        "report_level": 5,  # nothing is printed: what is wrong is raised
        "halt_level": 2,
    }
    try:
        return publish_doctree(text, source_path=str(path), parser=Parser(), settings_overrides=settings)
    except SystemMessage as fault:
        raise CourseError(f"{path.name} cannot be made into slides: {fault}") from None


def sources(document: nodes.document, source: Path) -> list[str]:
    """The works that a document cites, as a list for its end: ``"Zhang and Sennrich, 2019: Root Mean ..."``."""
    keys = dict.fromkeys(key for node in document.findall(nodes.inline) for key in node.get("cites", []))
    known = _bibliography(source)
    return [f"{short(known[key])}: {_plain(known[key].fields.get('title', ''))}" for key in keys]


def short(entry) -> str:
    """Author and year of an entry of the bibliography, as the book prints them."""
    people = entry.persons.get("author") or entry.persons.get("editor") or []
    names = [_plain(" ".join([*one.prelast_names, *one.last_names])) for one in people]
    if len(names) > 2:
        names = [f"{names[0]} et al."]
    return ", ".join([*([" and ".join(names)] if names else []), entry.fields.get("year", "no date")])


def _plain(text: str) -> str:
    r"""A field of BibTeX without its braces and with its accents.

    >>> _plain("{FinQA}: {\\'e}tude")
    'FinQA: étude'
    """
    from pybtex.richtext import Text

    return str(Text.from_latex(text))


@functools.lru_cache(maxsize=4)
def _bibliography(source: Path):
    from pybtex.database import parse_file

    return parse_file(str(source / "book" / "references.bib")).entries


def _register_roles(path: Path, source: Path) -> None:
    known = _bibliography(source)

    def cite(name, raw, text, line, inliner, options=None, content=None):
        keys = [key.strip() for key in text.split(",")]
        for key in keys:
            if key not in known:
                return [], [inliner.reporter.error(f"nothing is known of the citation {key}", line=line)]
        said = "; ".join(short(known[key]) for key in keys)
        node = nodes.inline(raw, said if name.endswith(":t") else f"[{said}]", classes=["cite"])
        node["cites"] = keys
        return [node], []

    def page(name, raw, text, line, inliner, options=None, content=None):
        title, target = _target(text)
        return [nodes.emphasis(raw, title or _title(path, target, source))], []

    def label(name, raw, text, line, inliner, options=None, content=None):
        title, target = _target(text)
        return [nodes.emphasis(raw, title or ("the table" if name == "numref" else target.rpartition(".")[2]))], []

    for name in ("cite", "cite:t", "cite:p"):
        roles.register_local_role(name, cite)
    roles.register_local_role("doc", page)
    for name in ("numref", "ref", "term", "py:mod", "py:func", "py:class"):
        roles.register_local_role(name, label)


def _target(text: str) -> tuple[str, str]:
    found = re.fullmatch(r"(.*?)\s*<([^<>]+)>", text, re.DOTALL)
    return (found[1], found[2]) if found else ("", text)


def _title(path: Path, target: str, source: Path) -> str:
    """The heading of the page that a reference names, from the Markdown or the notebook."""
    place = source / target.lstrip("/") if target.startswith("/") else path.parent / target
    if place.with_name(place.name + ".md").exists():
        text = place.with_name(place.name + ".md").read_text(encoding="utf-8")
    else:
        from finqa_lab.course import labs

        notebook = place.with_name(place.name + ".ipynb")
        if not notebook.exists():
            notebook = labs.solution_path(place.name)
        text = "\n".join(cell.source for cell in labs.read_notebook(notebook).cells if cell.cell_type == "markdown")
    return re.search(r"(?m)^# (.+)$", text)[1].replace("`", "")
