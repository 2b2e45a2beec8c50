"""The rooms of the library and which way they look, read from the imports as they are.

A room is a folder of ``finqa_lab``, or one of the modules beside the folders. ``PLACES`` says on which floor each
room is: a room imports only from lower floors. The sources are parsed with ``ast`` and never run, so an import inside a
function counts like one at the top. The book's architecture page shows the table and the figure made here.
"""

import ast
import graphlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from finqa_lab import markdown
from finqa_lab.files import REPOSITORY

# Floor (0 is the top) and column in the figure. A new room gets its line here; a test refuses a room without one.
PLACES: dict[str, tuple[int, float]] = {
    "cli": (0, 3),
    "course": (1, 2),
    "cloud": (2, 2),
    "serve": (3, 2),
    "pretrain": (3, 3),
    "tune": (4, 2),
    "retrieve": (5, 0),
    "quantitative": (5, 1),
    "finqa": (6, 1),
    "arithmetic": (6, 4),
    "text": (7, 2),
    "nn": (7, 3),
    "web": (7, 4),
    "markdown": (8, 1),
    "files": (8, 2),
    "errors": (9, 2),
}


@dataclass(frozen=True)
class Import:
    """One import of another room: which room looks at which, and the file and line that do it."""

    source: str
    target: str
    path: str
    line: int


def imports(package: Path | None = None) -> list[Import]:
    """Every import between two rooms of ``package``, in the order of files and lines.

    Args:
        package: folder of the package; default the library's own. Its name is the package's name.

    Raises:
        SyntaxError: for a file that is no Python.
    """
    package = package or REPOSITORY / "finqa_lab"
    names = set(rooms(package))
    found = []
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package.parent).with_suffix("").parts
        if parts[1] == "__init__":  # of the package itself
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), filename=str(path))):
            for target in sorted(_rooms_of(node, parts, names) - {parts[1]}):
                found.append(Import(parts[1], target, path.relative_to(package.parent).as_posix(), node.lineno))
    return found


def _rooms_of(node: ast.AST, parts: tuple[str, ...], names: set[str]) -> set[str]:
    """The rooms that one statement imports; ``parts`` is the dotted name of the module that holds it."""
    if isinstance(node, ast.Import):
        modules = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
        base = ".".join(parts[: len(parts) - node.level]) if node.level else ""
        base = ".".join(filter(None, (base, node.module)))
        modules = [base, *(f"{base}.{alias.name}" for alias in node.names)]  # `from finqa_lab import files`
    else:
        return set()
    split = (module.split(".") for module in modules)
    return {name[1] for name in split if len(name) > 1 and name[0] == parts[0] and name[1] in names}


def rooms(package: Path | None = None) -> list[str]:
    """The rooms of ``package`` by name: its folders with Python in them, and its modules."""
    package = package or REPOSITORY / "finqa_lab"
    folders = {path.relative_to(package).parts[0] for path in package.rglob("*.py") if path.parent != package}
    return sorted(folders | {path.stem for path in package.glob("*.py") if not path.stem.startswith("__")})


def graph(found: Iterable[Import]) -> dict[str, set[str]]:
    """The rooms that each importing room looks at.

    >>> graph([Import("nn", "files", "nn/hub.py", 3), Import("nn", "errors", "nn/hub.py", 4)]) == {
    ...     "nn": {"files", "errors"}}
    True
    """
    made: dict[str, set[str]] = {}
    for one in found:
        made.setdefault(one.source, set()).add(one.target)
    return made


def cycle(edges: dict[str, set[str]]) -> list[str]:
    """A closed walk through the graph, its first room repeated at the end, or [] when there is none.

    >>> cycle({"a": {"b"}, "b": {"c"}}), len(cycle({"a": {"b"}, "b": {"a"}}))
    ([], 3)
    """
    try:
        graphlib.TopologicalSorter(edges).prepare()
    except graphlib.CycleError as error:
        return list(error.args[1])
    return []


def problems(package: Path | None = None, places: dict[str, tuple[int, float]] = PLACES) -> list[str]:
    """Imports that do not look down, rooms without a place, a circle: one sentence each; [] for a sound package."""
    found = [
        f"the room '{room}' has no place; give it a floor in finqa_lab/course/architecture.py"
        for room in rooms(package)
        if room not in places
    ]
    seen = imports(package)
    for one in seen:
        known = one.source in places and one.target in places
        if known and places[one.source][0] >= places[one.target][0]:
            found.append(f"{one.path}, line {one.line}: '{one.source}' imports '{one.target}', which is not below it")
    if closed := cycle(graph(seen)):
        found.append(f"rooms import each other in a circle: {' -> '.join(closed)}")
    return found


def reduced(edges: dict[str, set[str]]) -> dict[str, set[str]]:
    """The edges of an acyclic graph that no longer path implies: the same order with the fewest arrows.

    >>> reduced({"a": {"b", "c"}, "b": {"c"}}) == {"a": {"b"}, "b": {"c"}}
    True
    """
    below: dict[str, set[str]] = {}
    for room in graphlib.TopologicalSorter(edges).static_order():  # the lowest rooms first
        below[room] = set().union(*({target} | below[target] for target in edges.get(room, ())))
    return {
        room: {target for target in targets if not any(target in below[other] for other in targets)}
        for room, targets in edges.items()
    }


def table(package: Path | None = None) -> str:
    """What each room holds and imports, from the top floor down, as a Markdown table.

    The text is the first line of the room's docstring; ``modules`` and ``lines`` count its Python files.
    """
    package = package or REPOSITORY / "finqa_lab"
    edges, rows = graph(imports(package)), []
    for room in sorted(rooms(package), key=lambda room: (*PLACES.get(room, (99, 0)), room)):
        folder = package / room
        files = sorted(folder.rglob("*.py")) if folder.is_dir() else [package / f"{room}.py"]
        sources = [path.read_text(encoding="utf-8") for path in files]
        head = files[[path.parent for path in files].index(folder)] if folder.is_dir() else files[0]
        holds = (ast.get_docstring(ast.parse(head.read_text(encoding="utf-8"))) or "").split("\n")[0]
        lines = sum(len(source.splitlines()) for source in sources)
        targets = ", ".join(f"`{target}`" for target in sorted(edges.get(room, ())))
        rows.append((f"`{room}`", holds.replace("|", "\\|"), targets or "nothing", str(len(files)), f"{lines:,}"))
    return markdown.table(("room", "holds", "imports from", "modules", "lines"), rows)


def alt_text(edges: dict[str, set[str]]) -> str:
    """The figure in words: the floors, then every arrow that is drawn."""
    floors: dict[int, list[str]] = {}
    for room, (floor, _) in PLACES.items():
        floors.setdefault(floor, []).append(room)
    rows = "; ".join(" and ".join(floors[floor]) for floor in sorted(floors))
    arrows = "; ".join(f"{room} to {', '.join(sorted(edges[room]))}" for room in PLACES if edges.get(room))
    return f"Diagram of boxes in {len(floors)} floors, from the top: {rows}. Arrows point down only: {arrows}."


def draw(edges: dict[str, set[str]]):
    """A matplotlib figure: the rooms as boxes, floor by floor, with an arrow for each edge."""
    from finqa_lab.course.figures import axes

    fig, ax = axes(width=7.0, height=6.6)
    for room, (floor, column) in PLACES.items():
        box = {"boxstyle": "round,pad=0.35", "facecolor": "#EAF2F8", "edgecolor": "#0072B2"}
        ax.text(column, -floor, room, ha="center", va="center", fontsize=10, bbox=box, zorder=3)
    for room, targets in sorted(edges.items()):
        for target in sorted(targets):
            (start, x_start), (end, x_end) = PLACES[room], PLACES[target]
            arrow = {"arrowstyle": "-|>", "color": "#444444", "shrinkA": 0, "shrinkB": 0, "linewidth": 1.1}
            ends = {"xytext": (x_start, -start - 0.2), "xy": (x_end, 0.2 - end)}  # lower edge of a box to upper edge
            ax.annotate("", arrowprops=arrow, zorder=1, **ends)
    columns, floors = [x for _, x in PLACES.values()], [floor for floor, _ in PLACES.values()]
    ax.set(xlim=(min(columns) - 0.6, max(columns) + 0.6), ylim=(-max(floors) - 0.5, 0.5))
    ax.axis("off")
    return fig


def figure_markup() -> str:
    """The drawn graph of the library as an HTML figure with caption and alternative text."""
    from finqa_lab.course.figures import picture, picture_markup

    edges = reduced(graph(imports()))
    caption = (
        "The rooms of finqa_lab. An arrow means: imports from. Arrows that a longer way implies are left out; the "
        "table lists every import. Made from the imports when this book was built."
    )
    png, width = picture(draw(edges))
    return picture_markup(png, caption=caption, alt=alt_text(edges), width=width)
