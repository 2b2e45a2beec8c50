"""``finqa-lab data``: the shipped data."""


def add_parser(subparsers) -> None:
    """Register ``data``."""
    parser = subparsers.add_parser("data", help="verify or list the shipped data")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    actions.add_parser("verify", help="compare data/ with its manifest").set_defaults(run=verify)
    actions.add_parser("list", help="list the files and the commands that make them").set_defaults(run=listing)


def verify(arguments) -> int:
    """Print what differs; 0 when nothing does."""
    from finqa_lab.files import data_problems

    found = data_problems()
    print("\n".join(found) or "data: every file is what the manifest says")
    return int(bool(found))


def listing(arguments) -> int:
    """Print name, size and command of each file."""
    from finqa_lab.files import data_root, read_json

    for name, entry in read_json(data_root() / "manifest.json", "the data manifest")["files"].items():
        print(f"{name}  {entry['bytes']:,} bytes  {entry['command']}")
    return 0
