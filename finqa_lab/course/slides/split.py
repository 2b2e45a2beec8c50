"""A document cut into slides: what stands on each, and what is left for the speaker's notes.

One slide a section. Of a paragraph the first sentence is shown, the second too where there is room, and the last where
it leads into an equation or a table ("The score is"); the rest is notes. Equations, tables, figures, code and exercises
are shown whole. Heights are estimated in pixels of a slide of 1280 by 720; a section that is too tall goes on with a
further slide.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from docutils import nodes

from finqa_lab.course.slides import heights

WIDTH, HEIGHT = 1280, 720
ROOM = 520
"""Pixels that the blocks of one slide may take below its title, as estimated; the rest is margin for the estimate."""
FULL = 400
"""Pixels up to which a slide is filled with second sentences."""
FIGURE = 380
"""Pixels that a figure is tall, as ``book/slides.css`` sets it."""
DISPLAYED = (
    nodes.math_block,
    nodes.table,
    nodes.bullet_list,
    nodes.enumerated_list,
    nodes.definition_list,
    nodes.literal_block,
    nodes.raw,
    nodes.figure,
    nodes.image,
)
_END = re.compile(r"[.?!][\"”’')\]]*(?:\s+(?=[A-Z0-9\"“‘(\[])|\s+\Z)")
_NO_END = re.compile(r"(?:\b(?:e\.g|i\.e|cf|al|vs|Fig|No|approx)|\b[A-Z])\.$")


@dataclass
class Slide:
    """One slide.

    Attributes:
        title: the heading's node.
        shown: blocks on the slide.
        notes: blocks for the speaker.
        opens: whether it is the first of the deck.
        continued: whether it goes on from the slide before.
    """

    title: nodes.title
    shown: list[nodes.Node] = field(default_factory=list)
    notes: list[nodes.Node] = field(default_factory=list)
    opens: bool = False
    continued: bool = False


@dataclass
class _Piece:
    """Something that is not divided: blocks to show, notes to them, pixels."""

    shown: list[nodes.Node]
    notes: list[nodes.Node]
    height: int


def slides(document: nodes.document, cited: list[str] = ()) -> list[Slide]:
    """The slides of a chapter, in order; the works that it cites stand on the last ones."""
    found = []
    for section in document.findall(nodes.section):
        title = section.next_node(nodes.title)
        blocks = [child for child in section.children if not isinstance(child, (nodes.title, nodes.section))]
        opens = not found
        sparse, fuller = (_packed(title, list(_pieces(blocks, count)), opens) for count in (1, 2))
        text = sum(piece.height for piece in _pieces(blocks, 2))
        found += fuller if len(fuller) == len(sparse) and text <= FULL * len(sparse) else sparse
    if cited:
        works = nodes.bullet_list("", *(nodes.list_item("", nodes.paragraph("", work)) for work in cited))
        found += _packed(nodes.title("", "Sources"), list(_pieces([works], 1)), False)
    return found


def sentences(paragraph: nodes.paragraph) -> list[nodes.paragraph]:
    """The sentences of a paragraph, each with its own formulas and code.

    >>> from docutils import nodes
    >>> text = nodes.paragraph("", "", nodes.Text("A width, e.g. "), nodes.math("", "w"), nodes.Text(". Two follow."))
    >>> [one.astext() for one in sentences(text)]
    ['A width, e.g. w. ', 'Two follow.']
    """
    found, children = [[]], [child.deepcopy() for child in paragraph.children]
    for place, child in enumerate(children):
        if not isinstance(child, nodes.Text):
            found[-1].append(child)
            continue
        start, text = 0, child.astext()
        for end in _END.finditer(text):
            before = "".join(one.astext() for one in found[-1]) + text[start : end.end()]
            if _NO_END.search(before.rstrip()) or (end.end() == len(text) and place + 1 == len(children)):
                continue
            found[-1].append(nodes.Text(text[start : end.end()]))
            found.append([])
            start = end.end()
        if text[start:]:
            found[-1].append(nodes.Text(text[start:]))
    return [nodes.paragraph("", "", *one) for one in found if one]


def _pieces(blocks: list[nodes.Node], count: int) -> Iterator[_Piece]:
    """Blocks as pieces that fit on a slide, ``count`` sentences of each paragraph; what leads into a block stays with
    the beginning of it.
    """
    leading = None
    for place, block in enumerate(blocks):
        follows = blocks[place + 1] if place + 1 < len(blocks) else None
        for piece in _of_block(block, follows, count):
            if leading and leading.height + piece.height <= ROOM:
                piece = _Piece(leading.shown + piece.shown, leading.notes + piece.notes, leading.height + piece.height)
            elif leading:
                yield leading
            leading = None
            if piece.shown and isinstance(block, nodes.paragraph) and isinstance(follows, DISPLAYED):
                leading = piece
            else:
                yield piece
    if leading:
        yield leading


def _of_block(block: nodes.Node, follows: nodes.Node | None, count: int) -> Iterator[_Piece]:
    if isinstance(block, (nodes.comment, nodes.target, nodes.transition, nodes.system_message)):
        return
    if isinstance(block, nodes.paragraph):
        shown, notes = _shortened(block, isinstance(follows, DISPLAYED), count)
        height = sum(heights.of_text(heights.length(one), "paragraph") for one in shown)
        yield _Piece(shown, notes, height)
    elif isinstance(block, (nodes.bullet_list, nodes.enumerated_list)):
        yield from _of_list(block)
    elif isinstance(block, nodes.table):
        yield from _of_table(block)
    elif isinstance(block, nodes.literal_block):
        yield from _of_code(block)
    elif isinstance(block, nodes.math_block):
        yield _Piece([_sized(block)], [], heights.of_equation(block.astext()))
    elif isinstance(block, (nodes.raw, nodes.figure, nodes.image)):
        yield _Piece([block.deepcopy()], [], FIGURE + heights.of_text(len(_caption(block)), "caption"))
    elif isinstance(block, nodes.Admonition):
        yield _of_box(block)
    elif isinstance(block, nodes.Element):
        yield _Piece([block.deepcopy()], [], heights.of_text(heights.length(block), "paragraph"))


def _of_box(block: nodes.Admonition) -> _Piece:
    """A box: an exercise as it is, of another one two sentences a paragraph."""
    box, notes = block.copy(), []
    for child in block.children:
        if isinstance(child, nodes.paragraph) and "exercise" not in block["classes"]:
            shown, rest = _shortened(child, False, 2)
            box += shown
            notes += rest
        else:
            box.append(child.deepcopy())
    return _Piece([box], notes, 30 + sum(heights.of_text(heights.length(one), "paragraph") for one in box.children))


def _caption(block: nodes.Node) -> str:
    if isinstance(block, nodes.raw):
        found = re.search(r"<figcaption[^>]*>(.*?)</figcaption>", block.astext(), re.DOTALL)
        return found[1] if found else ""
    return "".join(node.astext() for node in block.findall(nodes.caption))


def _shortened(paragraph: nodes.paragraph, leads: bool, count: int) -> tuple[list[nodes.Node], list[nodes.Node]]:
    """The sentences of a paragraph that are shown, and those that are not."""
    parts = sentences(paragraph)
    first = min(len(parts), 2 if len(parts[0].astext()) < 45 else count)
    kept = set(range(first))
    if leads and not re.search(r"[.?!][\"”’')\]]*\s*$", parts[-1].astext()):
        kept.add(len(parts) - 1)
    shown = [_joined(parts[:first])] + [parts[place] for place in sorted(kept) if place >= first]
    if isinstance(paragraph.children[0], nodes.Text) and re.match(r"[a-z,;]", paragraph.astext()):
        shown[0]["classes"].append("goes-on")  # the sentence began before the equation above
    rest = [part for place, part in enumerate(parts) if place not in kept]
    return shown, [_joined(rest)] if rest else []


def _joined(parts: list[nodes.paragraph]) -> nodes.paragraph:
    return nodes.paragraph("", "", *(child.deepcopy() for part in parts for child in part.children))


def _of_list(block: nodes.Element) -> Iterator[_Piece]:
    """A list, divided between items when it is tall; each item keeps its first sentence and what is displayed in it."""
    number = int(block.get("start", 1))
    taken, part = 0, block.copy()
    notes: list[nodes.Node] = []
    for item in block.children:
        short, tall, left = nodes.list_item(), 0, []
        for child in item.children:
            if isinstance(child, nodes.paragraph):
                shown, rest = _shortened(child, child is not item.children[-1], 1)
                tall += sum(heights.of_text(heights.length(one) + 6, "paragraph") for one in shown)
            else:
                pieces = list(_of_block(child, None, 1))
                shown, rest = ([one for piece in pieces for one in getattr(piece, name)] for name in ("shown", "notes"))
                tall += sum(piece.height for piece in pieces)
            short += shown
            left += rest
        if part.children and taken + tall > ROOM:
            yield _Piece([part], notes, taken)
            part, taken, notes = block.copy(), 0, []
            part["start"] = number
        notes += left
        part += short
        taken += tall
        number += 1
    if part.children:
        yield _Piece([part], notes, taken)


def _of_table(block: nodes.table) -> Iterator[_Piece]:
    """A table, divided between rows when it is tall, with its header on every part."""
    group = block.next_node(nodes.tgroup)
    body = group.next_node(nodes.tbody)
    head = [row for part in group.children if isinstance(part, nodes.thead) for row in part.children]
    widths = heights.column_widths(head + body.children)
    top = sum(heights.of_row(row, widths) for row in head) + 20
    top += sum(heights.of_text(len(one.astext()), "caption") for one in block.children if isinstance(one, nodes.title))
    parts, taken = [[]], top
    for row in body.children:
        tall = heights.of_row(row, widths)
        if parts[-1] and taken + tall > ROOM:
            parts.append([])
            taken = top
        parts[-1].append(row)
        taken += tall
    for rows in parts:
        part = block.deepcopy()
        target = part.next_node(nodes.tbody)
        target.children = []
        target += [row.deepcopy() for row in rows]
        yield _Piece([part], [], top + sum(heights.of_row(row, widths) for row in rows))


def _of_code(block: nodes.literal_block) -> Iterator[_Piece]:
    lines = block.astext().splitlines()
    parts, taken, (width, line, around) = [[]], 0, heights.LINES["code"]
    for one in lines:
        tall = line * max(1, -(-len(one) // width))
        if parts[-1] and taken + tall > ROOM - around:
            parts.append([])
            taken = 0
        parts[-1].append(one)
        taken += tall
    for part in parts:
        text = "\n".join(part)
        node = nodes.literal_block(text, text, **{key: block[key] for key in ("classes", "language") if key in block})
        yield _Piece([node], [], around + line * sum(max(1, -(-len(one) // width)) for one in part))


def _sized(block: nodes.math_block) -> nodes.Element:
    """A displayed equation, in a container ``long`` or ``longer`` when a line of it is wide."""
    widest = max(heights.visible(line) for line in re.split(r"\\\\", block.astext()))
    if widest <= 62:
        return block.deepcopy()
    # Classes of the equation itself would be kept by docutils' writer for all later equations.
    return nodes.container("", block.deepcopy(), classes=["longer" if widest > 88 else "long"])


def _packed(title: nodes.title, pieces: list[_Piece], opens: bool) -> list[Slide]:
    """Pieces put on as few slides as hold them, and evenly: the last slide of a section is not left with one line."""
    found = _filled(title, pieces, opens, ROOM)
    for room in range(ROOM - 20, 100, -20):
        evener = _filled(title, pieces, opens, room)
        if len(evener) > len(found):
            break
        found = evener
    return found


def _filled(title: nodes.title, pieces: list[_Piece], opens: bool, room: int) -> list[Slide]:
    """Pieces put on slides one after the other; a slide ends before the piece with which it would be too tall."""
    found, taken = [], 0
    first = min(room, ROOM - 150) if opens else min(room, ROOM - (44 if len(title.astext()) > 55 else 0))
    for piece in pieces:
        least = first if len(found) == 1 else room
        if not found or (piece.shown and found[-1].shown and taken + piece.height > least):
            found.append(Slide(title, opens=opens and not found, continued=bool(found)))
            taken = 0
        found[-1].shown += piece.shown
        found[-1].notes += piece.notes
        taken += piece.height
    return found or ([Slide(title, opens=True)] if opens else [])
