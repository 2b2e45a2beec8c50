"""``finqa-lab data``: the shipped data, the public release of FinQA, and what is in either."""

from pathlib import Path


def add_parser(subparsers) -> None:
    """Register ``data``."""
    parser = subparsers.add_parser("data", help="verify or list the shipped data, fetch FinQA, describe a data set")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    actions.add_parser("verify", help="compare data/ with its manifest").set_defaults(run=verify)
    actions.add_parser("list", help="list the files and the commands that make them").set_defaults(run=listing)
    fetching = actions.add_parser("fetch", help="download a public data set at a pinned revision")
    fetching.add_argument("name", choices=["finqa"], help="which one")
    fetching.add_argument("--folder", type=Path, metavar="DIR", help="default: finqa in the course's home")
    fetching.add_argument("--base-url", metavar="URL", help="a mirror; the files must have the same sums")
    fetching.add_argument("--sha256", action="append", default=[], metavar="FILE=HEX",
                          help="expect another sum of dev.json, say; may be repeated")  # fmt: skip
    fetching.set_defaults(run=fetch)
    describing = actions.add_parser("describe", help="print a data card with measured statistics")
    describing.add_argument("where", nargs="?", metavar="FOLDER|FILE|generated",
                            help="default: the fetched release, or the generated reports without one")  # fmt: skip
    describing.add_argument("--split", default="dev", help="train, dev (default), test, or all that are there")
    describing.add_argument("--tokenizer", type=Path, metavar="PATH", help="tokenizer.json to count tokens with")
    describing.add_argument("--json", action="store_true", help="print JSON, with the ids of every fault")
    describing.set_defaults(run=describe)


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


def fetch(arguments) -> int:
    """Download FinQA; 0 when every file is there and verified."""
    from finqa_lab.finqa import fetch as release

    sources = release.with_sums(arguments.sha256)
    base_url = arguments.base_url or release.BASE_URL
    with _Downloads() as downloads:
        found = release.fetch(arguments.folder, base_url, sources, downloads.on_progress)
    for one in found:
        left_out = f", {one.left_out} left out (`finqa-lab data describe` says why)" if one.left_out else ""
        print(f"{one.path}: {'downloaded' if one.downloaded else 'already there'}, {one.records:,} records{left_out}")
    pinned = "the sums given by --sha256 and the pinned ones" if arguments.sha256 else "the pinned ones"
    print(
        f"verified: SHA-256 sums are {pinned} (revision {release.REVISION[:12]}), and the files read as FinQA; "
        "not verified: the annotations"
    )
    return 0


def describe(arguments) -> int:
    """Print a data card; 0 unless there is nothing to describe."""
    import json
    from dataclasses import asdict

    from finqa_lab.finqa import fetch as release
    from finqa_lab.finqa.card import card
    from finqa_lab.finqa.describe import describe, load

    where = arguments.where
    if where is None:
        fetched = [name for name in release.stated(release.folder()) if arguments.split in (name[:-5], "all")]
        for name in fetched:  # what is described is what was verified
            release.fetched_path(name)
        where = release.folder() if fetched else "generated"
    count_tokens = _token_counter(arguments.tokenizer) if arguments.tokenizer else None
    records, problems = load(where, arguments.split)
    description = describe(records, problems, count_tokens)
    if arguments.json:
        print(json.dumps(asdict(description), indent=1, ensure_ascii=False))
    else:
        of_split = "" if Path(where).is_file() else f", {arguments.split}"
        print(card(description, f"{where}{of_split}"))
    return 0


def _token_counter(path: Path):
    """Counts the tokens of a text with a tokenizer file, no special ones added."""
    from tokenizers import Tokenizer

    from finqa_lab.errors import CourseError

    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises nothing narrower
        raise CourseError(f"{path} is not a tokenizer: {error}; give a tokenizer.json") from None
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids)


class _Downloads:
    """A bar for each file on a terminal; nothing in a log, where the lines at the end tell all."""

    def __enter__(self):
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

        columns = (TextColumn("{task.description:<12}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        self._progress = Progress(*columns)
        self._progress.disable = not self._progress.console.is_terminal
        self._tasks = {}
        self._progress.start()
        return self

    def __exit__(self, *exc):
        self._progress.stop()

    def on_progress(self, name: str, done: int, total: int | None) -> None:
        if name not in self._tasks:
            self._tasks[name] = self._progress.add_task(name, total=total)
        self._progress.update(self._tasks[name], completed=done, total=total)
