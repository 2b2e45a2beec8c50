"""``finqa-lab params``: the parameters of a lab and what each profile sets."""


def add_parser(subparsers) -> None:
    """Register ``params``."""
    parser = subparsers.add_parser("params", help="show a lab's parameters, their ranges and profiles")
    parser.add_argument("lab", metavar="LAB")
    parser.add_argument("--markdown", action="store_true", help="print the table as the book shows it")
    parser.set_defaults(run=run)


def run(arguments) -> int:
    """Print the table."""
    import sys

    from rich.console import Console
    from rich.table import Table

    from finqa_lab.course import labs, parameters

    lab = labs.resolve(arguments.lab)
    if arguments.markdown:
        print(parameters.markdown_table(lab), end="")
        return 0
    header, *rows = parameters.table(lab)
    table = Table(*header, title=f"{lab}: parameters")
    for row in rows:
        table.add_row(*row)
    Console(width=None if sys.stdout.isatty() else 160).print(table)
    return 0
