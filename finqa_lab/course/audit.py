"""Audit of the built HTML: every page of the contents, no network at view time, meaningful alt text, sound links."""

import re
from pathlib import Path

from finqa_lab.course import links
from finqa_lab.course.figures import alt_problem

_LOADING = {name: "src" for name in ("script", "img", "iframe", "source", "video", "audio", "embed")}
_LOADING |= {"link": "href", "object": "data"}


def problems(html: Path, pages: list[str]) -> list[str]:
    """One sentence per fault in the HTML folder.

    Args:
        html: folder with ``index.html``.
        pages: documents of the table of contents, without extension; each must be there, and no other page may be.
    """
    found = [f"page {page} is missing" for page in pages if not (html / f"{page}.html").is_file()]
    generated = ("_", "genindex", "search", "index", "py-modindex")
    for path in sorted(html.rglob("*.html")):
        name = path.relative_to(html).as_posix().removesuffix(".html")
        if name not in pages and not name.startswith(generated):
            found.append(f"page {name} is not in the table of contents")
        markup = path.read_text(encoding="utf-8")
        faults = page_problems(markup) if name in pages else network_problems(markup)
        found += [f"{name}: {problem}" for problem in faults]
    for sheet in sorted(html.rglob("*.css")):
        faults = style_problems(sheet.read_text(encoding="utf-8", errors="replace"))
        found += [f"{sheet.relative_to(html).as_posix()}: {problem}" for problem in faults]
    return found + links.problems(html)


def style_problems(style: str) -> list[str]:
    """What a style sheet would load from elsewhere."""
    return [f"loads {address} from the network" for address in links.style_addresses(style) if _is_foreign(address)]


def _is_foreign(address: str) -> bool:
    return bool(re.match(r"(https?:)?//", address.strip()))


def network_problems(markup: str) -> list[str]:
    """What a page would load from elsewhere when it is opened; links that a reader may follow are no fault."""
    from bs4 import BeautifulSoup

    return _network(BeautifulSoup(markup, "html.parser"))


def _network(page) -> list[str]:
    found = []
    for tag in page.find_all(list(_LOADING)):
        address = tag.get(_LOADING[tag.name]) or ""
        is_link = tag.name == "link" and not {"stylesheet", "preload", "icon"} & set(tag.get("rel") or [])
        if _is_foreign(address) and not is_link:
            found.append(f"loads {address} from the network")
    styles = [tag.get_text() for tag in page.find_all("style")] + [tag["style"] for tag in page.find_all(style=True)]
    return found + [problem for style in styles for problem in style_problems(style)]


def page_problems(markup: str) -> list[str]:
    """Faults of one page of the contents: the network, images without a description, empty headers, heading order."""
    from bs4 import BeautifulSoup

    page = BeautifulSoup(markup, "html.parser")
    found = _network(page)
    article = page.find("article") or page
    for image in article.find_all("img"):
        if why := alt_problem(image.get("alt") or ""):
            found.append(why)
    if any(not cell.get_text(strip=True) for cell in article.select("thead th")):
        found.append("has a table with an empty cell in its header; name what the column holds")
    levels = [int(tag.name[1]) for tag in article.find_all(re.compile(r"h[1-6]"))]
    if levels and levels.count(1) != 1:
        found.append(f"has {levels.count(1)} level-one headings")
    found += [f"skips from heading level {a} to {b}" for a, b in zip(levels, levels[1:]) if b > a + 1]
    return found
