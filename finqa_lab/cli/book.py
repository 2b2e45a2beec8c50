"""``finqa-lab book``, ``inspect`` and ``vendor``: the HTML book, how readers meet it, the scripts that it carries."""

from pathlib import Path


def add_parser(subparsers) -> None:
    """Register ``book``, ``inspect`` and ``vendor``."""
    parser = subparsers.add_parser("book", help="build the HTML book from the executed labs")
    parser.add_argument("--instructor", action="store_true", help="the edition with solutions and hidden tests")
    parser.add_argument("--run-folder", type=Path, help="executed labs (default _build/run/smoke)")
    parser.add_argument("--out", type=Path, help="target folder")
    parser.set_defaults(run=book)
    parser = subparsers.add_parser("inspect", help="open the built book in a browser: accessibility, network, widths")
    parser.add_argument("pages", nargs="*", metavar="PAGE", help="such as book/index (default: every page)")
    parser.add_argument("--html", type=Path, help="the built book (default _build/book/student/_build/html)")
    parser.set_defaults(run=inspect)
    parser = subparsers.add_parser("vendor", help="verify, or fetch again, the browser scripts of the book")
    parser.add_argument("--fetch", action="store_true", help="download with npm, verify against book/vendor.json, trim")
    parser.set_defaults(run=vendor)


def book(arguments) -> int:
    """Build one edition and say where it is."""
    from finqa_lab.course.book import build

    html = build(arguments.run_folder, arguments.out, arguments.instructor)
    print(f"book: {html / 'index.html'}")
    return 0


def inspect(arguments) -> int:
    """Print what a reader would stumble over, page by page."""
    from finqa_lab.course import inspection
    from finqa_lab.course.labs import root

    html = arguments.html or root() / "_build" / "book" / "student" / "_build" / "html"
    pages = arguments.pages or inspection.pages(html)
    found = 0
    for finding in inspection.inspect(html, pages):
        print(finding, flush=True)
        found += 1
    print(f"{len(pages)} pages, {found} findings")
    return int(bool(found))


def vendor(arguments) -> int:
    """Compare or fetch."""
    from finqa_lab.course import vendor as vendoring

    if arguments.fetch:
        print(f"{len(vendoring.fetch())} files written below {vendoring.folder()}")
    found = vendoring.problems()
    print("\n".join(found) or "book/vendor: every file is the recorded one")
    return int(bool(found))
