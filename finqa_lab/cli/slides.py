"""``finqa-lab slides``: a deck of slides for each chapter, made from the book's sources."""

from pathlib import Path


def add_parser(subparsers) -> None:
    """Register ``slides``."""
    parser = subparsers.add_parser("slides", help="make a deck of slides from each chapter of the built book")
    parser.add_argument("chapters", nargs="*", metavar="CHAPTER", help="such as decoder/attention (default all)")
    parser.add_argument("--source", type=Path, help="source tree of a built book (default _build/book/student/source)")
    parser.add_argument("--out", type=Path, help="target folder (default _build/slides)")
    parser.add_argument("--measure", action="store_true", help="open the decks in Chromium; say what runs over an edge")
    parser.set_defaults(run=slides)


def slides(arguments) -> int:
    """Write the decks, and look at them when that is asked for."""
    from finqa_lab.course import labs
    from finqa_lab.course.slides import deck, measure

    build = labs.root() / "_build"
    out = arguments.out or build / "slides"
    source = arguments.source or build / "book" / "student" / "source"
    decks = deck.write(source, [name.removesuffix(".md").removeprefix("book/") for name in arguments.chapters], out)
    print(f"{len(decks)} {'deck' if len(decks) == 1 else 'decks'}: {out / 'index.html'}")
    if not arguments.measure:
        return 0
    faults = measure.faults(out, [path.name for path in decks])
    print("\n".join(faults) or "every slide is within its edges")
    return int(bool(faults))
