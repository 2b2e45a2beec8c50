"""Links inside the built book: every address leads to a file, every anchor to a place in it.

Links to other sites are asked every night by Sphinx's ``linkcheck``; here nothing leaves the machine.
"""

import posixpath
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


@dataclass
class Anatomy(HTMLParser):
    """What a page offers to links (``anchors``), and what it refers to: (tag, address) in ``references``."""

    anchors: set[str] = field(default_factory=set)
    references: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self):
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.anchors |= {values[name] for name in ("id", "name") if values.get(name)}
        name = "href" if tag in ("a", "link") else "src"
        if values.get(name):
            self.references.append((tag, values[name]))


def anatomy(markup: str) -> Anatomy:
    """Anchors and references of a page.

    >>> page = anatomy('<h2 id="top">A</h2> <a href="b.html#c">see</a> <img src="d.png">')
    >>> page.anchors, page.references
    ({'top'}, [('a', 'b.html#c'), ('img', 'd.png')])
    """
    found = Anatomy()
    found.feed(markup)
    return found


def style_addresses(style: str) -> list[str]:
    """What a style sheet loads: fonts, pictures, further sheets.

    >>> style_addresses('@import "a.css"; p { background: url(b.png) } @font-face { src: url("//x.org/c.woff2") }')
    ['a.css', 'b.png', '//x.org/c.woff2']
    """
    pattern = r"""@import\s+["']([^"']+)|url\(\s*(?:"([^"]*)"|'([^']*)'|([^)"'\s]*))"""
    return [next(filter(None, found), "") for found in re.findall(pattern, style)]


def problems(html: Path) -> list[str]:
    """One sentence for each reference that leads nowhere, in the pages of a folder and the style sheets beside them."""
    pages = {path.relative_to(html).as_posix(): path for path in sorted(html.rglob("*.html"))}
    pages = {name: path for name, path in pages.items() if not name.startswith("_static/")}  # the theme's templates
    known = {name: anatomy(path.read_text(encoding="utf-8")) for name, path in pages.items()}
    files = {path.relative_to(html).as_posix() for path in html.rglob("*") if path.is_file()}
    found = []
    for name, page in known.items():
        if name == "_modules/index.html":  # Sphinx lists there what it has no source of, such as builtins
            continue
        for tag, address in page.references:
            parts = urlsplit(address)
            if parts.scheme or parts.netloc or (tag == "a" and address == "#"):
                continue
            folder = posixpath.dirname(name)
            target = posixpath.normpath(posixpath.join(folder, unquote(parts.path))) if parts.path else name
            anchor = unquote(parts.fragment)
            if target not in files:
                found.append(f"{name}: the address {address} of a <{tag}> is no file of the book")
            elif name.startswith("_modules/"):  # Sphinx's way back to a name may lead to where it is imported
                continue
            elif anchor and target in known and anchor not in known[target].anchors and tag == "a":
                found.append(f"{name}: there is no place '{anchor}' in {target}")
    for sheet in sorted(html.rglob("*.css")):
        for address in style_addresses(sheet.read_text(encoding="utf-8", errors="replace")):
            parts = urlsplit(address)
            elsewhere = parts.scheme or parts.netloc or not parts.path
            if not elsewhere and not (sheet.parent / unquote(parts.path)).is_file():
                found.append(f"{sheet.relative_to(html).as_posix()}: the address {address} is no file of the book")
    return list(dict.fromkeys(found))
