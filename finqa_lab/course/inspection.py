"""The built book as its readers meet it: opened in a browser, read by axe-core, used with the keyboard alone.

axe-core (Deque Systems, MPL-2.0; https://github.com/dequelabs/axe-core) finds what a program can find of the rules of
WCAG 2: names, roles, contrast, order. The rest here are rules of the course: nothing is asked of another host, no
script fails, a telephone's screen needs no sideways scrolling, the first Tab shows the skip link.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from finqa_lab.course import vendor
from finqa_lab.course.browser import Page, looking_at
from finqa_lab.errors import CourseError

WIDE, NARROW = 1280, 390
"""Widths of a laptop's window and of a telephone's screen, in CSS pixels."""


@dataclass(frozen=True)
class Accepted:
    """A finding that is not the course's to mend.

    Attributes:
        rule: of axe-core, or ``"script"``.
        part: text that the finding's markup, or message, must hold.
        why: the reason, for who wonders whether it still holds.
    """

    rule: str
    part: str
    why: str


ACCEPTED: tuple[Accepted, ...] = (
    Accepted("label-content-name-mismatch", "search-button", "the theme's button: named Search, shows the keys Ctrl+K"),
    Accepted("label-content-name-mismatch", "theme-switch-button", "the theme's button: its icons count as text"),
    Accepted("region", "sidebar-primary-item", "the theme sets the book's name in the sidebar outside of a landmark"),
    Accepted("aria-allowed-role", "doc-biblioentry", "docutils gives the role to each entry of the bibliography"),
    Accepted("aria-deprecated-role", "doc-biblioentry", "docutils still writes the role, which has been withdrawn"),
    Accepted("aria-required-children", "citation-list", "docutils' list of entries, whose role follows from theirs"),
    Accepted("script", "THEBE_JS_URL", "the theme declares a constant twice; live cells, which use it, are off"),
)


@dataclass(frozen=True)
class Finding:
    """Something on a page that a reader stumbles over."""

    page: str
    rule: str
    detail: str

    def accepted(self) -> bool:
        """Whether it is one of the theme's own, listed above with its reason."""
        return any(self.rule == one.rule and one.part in self.detail for one in ACCEPTED)

    def __str__(self) -> str:
        return f"{self.page}: {self.rule}: {self.detail}"


def pages(html: Path) -> list[str]:
    """The pages of a built book that a reader is led to, without extension.

    Raises:
        CourseError: when the folder holds no book.
    """
    found = sorted(
        path.relative_to(html).as_posix().removesuffix(".html")
        for folder in ("book", "labs")
        for path in (html / folder).rglob("*.html")
    )
    if not found:
        raise CourseError(f"{html} holds no built book; run `finqa-lab book` first")
    return found


def inspect(html: Path, pages: Sequence[str]) -> Iterator[Finding]:
    """What is wrong on the pages, without what is accepted, page by page; nothing for a sound book.

    Args:
        html: folder of the built book.
        pages: documents without extension, such as ``"book/index"``.

    Raises:
        CourseError: when there is no browser, or no such page.
    """
    for name in pages:
        if not (html / f"{name}.html").is_file():
            raise CourseError(f"the book in {html} has no page {name}; a page is named like book/start/setup")
    axe = (vendor.folder() / "axe" / "axe.min.js").read_text(encoding="utf-8")
    with looking_at(html) as page:
        for name in pages:
            yield from (one for one in _look(page, name, axe) if not one.accepted())


def _look(page: Page, name: str, axe: str) -> list[Finding]:
    page.open(f"{name}.html", NARROW)
    found = []
    if wide := page.evaluate(f"{_TOO_WIDE}({NARROW})"):
        found.append(Finding(name, "narrow", f"at {NARROW} px the page is {wide[0]} px wide, because of {wide[1]}"))
    page.open(f"{name}.html", WIDE)
    found += [Finding(name, "script" if "script error" in text else "network", text) for text in page.complaints]
    page.press("Tab", 9)
    first = page.evaluate(_FOCUSED)
    if not (first["skips"] and first["visible"]):
        found.append(Finding(name, "keyboard", f"the first Tab does not show the skip link but {first['markup']}"))
    page.evaluate(f"{axe};0")
    for theme, rules in (("light", None), ("dark", ["color-contrast"])):
        page.evaluate(f"document.documentElement.dataset.theme = {json.dumps(theme)}; 0")
        options = {"resultTypes": ["violations"], **({"runOnly": rules} if rules else {})}
        for violation in page.evaluate(f"{_AXE}({json.dumps(options)})"):
            for node in violation["nodes"]:
                detail = f"{violation['help']} ({theme}): {node['target']} {node['html']} {node['summary']}"
                found.append(Finding(name, violation["id"], " ".join(detail.split())))
    return found


_FOCUSED = """new Promise(done => setTimeout(done, 500)).then(() => {  // it slides in
  const one = document.activeElement, box = one.getBoundingClientRect();
  const skips = Boolean(one.closest('[class*="skip-link"], [id*="skip-link"]'));
  const visible = box.width > 10 && box.height > 10 && box.top >= 0 && box.left >= 0;
  return {skips, markup: one.outerHTML.slice(0, 120), visible};
})"""
_TOO_WIDE = """(width => {
  const page = document.scrollingElement;
  if (page.scrollWidth <= width) return null;
  const inside = one => {
    for (let up = one.parentElement; up && up !== document.body; up = up.parentElement)
      if (getComputedStyle(up).overflowX !== 'visible') return true;
    return false;
  };
  const over = [...document.querySelectorAll('main *')].filter(
    one => one.getBoundingClientRect().right > width + 1 && !inside(one));
  return [page.scrollWidth, over.slice(0, 1).map(one => one.outerHTML.slice(0, 120)).join('') || 'an unnamed part'];
})"""
_AXE = """(options => axe.run(document, options).then(found => found.violations.map(one => ({
  id: one.id, help: one.help,
  nodes: one.nodes.map(node => ({
    target: node.target.join(' '), html: node.html.slice(0, 160), summary: (node.failureSummary || '').slice(0, 240)
  }))
}))))"""
