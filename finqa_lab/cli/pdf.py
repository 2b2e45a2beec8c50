"""``finqa-lab pdf``: the built book as one PDF."""

from pathlib import Path


def add_parser(subparsers) -> None:
    """Register ``pdf``."""
    parser = subparsers.add_parser("pdf", help="print the built book to one PDF, with Chromium")
    parser.add_argument("--html", type=Path, help="HTML of a built book (default _build/book/student/_build/html)")
    parser.add_argument("--out", type=Path, help="target file (default _build/book.pdf)")
    parser.add_argument(
        "--api", action="store_true", help="with the pages of docstrings, which are longer than the rest"
    )
    parser.set_defaults(run=pdf)


def pdf(arguments) -> int:
    """Print, and say where the file is."""
    from finqa_lab.course import labs
    from finqa_lab.course.paper import print_book

    build = labs.root() / "_build"
    html = arguments.html or build / "book" / "student" / "_build" / "html"
    out = print_book(html, arguments.out or build / "book.pdf", arguments.api)
    print(f"book: {out} ({out.stat().st_size / 1e6:.0f} MB)")
    return 0
