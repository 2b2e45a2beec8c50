"""``finqa-lab registry``: versions of the arithmetic model, and which of them serves."""

import json
from pathlib import Path

from finqa_lab.errors import CourseError


def add_parser(subparsers) -> None:
    """Attach the command and its four actions."""
    parser = subparsers.add_parser("registry", help="versions of the served model: list, add, promote, rollback")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="all versions with their metrics; the serving one is marked")
    add = actions.add_parser("add", help="copy a checkpoint folder into the registry")
    add.add_argument("checkpoint", type=Path, help="folder with config.json and model.safetensors")
    add.add_argument("--metrics", type=Path, metavar="FILE.json", help="measured figures; default: the checkpoint's")
    add.add_argument("--data", type=Path, metavar="FILE", help="training data to note the hash of")
    add.add_argument("--note", default="", help="free text for the card")
    add.add_argument("--promote", action="store_true", help="let it serve at once")
    add.add_argument("--export", action="store_true", help="export its graph now: serving then needs no torch")
    promote = actions.add_parser("promote", help="let a version serve; a running server follows by itself")
    promote.add_argument("version", help="id, or its first characters")
    rollback = actions.add_parser("rollback", help="let the version serve that served before")
    for action, run_action in ((listing, _list), (add, _add), (promote, _promote), (rollback, _rollback)):
        action.add_argument("--registry", type=Path, metavar="DIR", help="folder; default in the course's home")
        action.add_argument("--json", action="store_true", help="print JSON")
        action.set_defaults(run=run, run_action=run_action)


def run(args) -> int:
    """Run the chosen action; returns the exit status."""
    from finqa_lab.arithmetic.service.defaults import default_registry_folder
    from finqa_lab.arithmetic.service.promotion import Promotion
    from finqa_lab.arithmetic.service.registry import Registry

    registry = Registry(args.registry or default_registry_folder())
    return args.run_action(args, registry, Promotion(registry))


def _list(args, registry, promotion) -> int:
    current = promotion.current()
    cards = [registry.card(version) for version in registry.versions()]
    if args.json:
        versions = [{**card.__dict__, "serving": card.version == current} for card in cards]
        print(json.dumps({"registry": str(registry.root), "versions": versions, "history": promotion.history()}))
        return 0
    if not cards:
        print(f"{registry.root} holds no version; add one with `finqa-lab registry add CHECKPOINT --promote`")
    for card in cards:
        metrics = ", ".join(f"{name} {value}" for name, value in card.metrics.items()) or "no metrics"
        mark = "*" if card.version == current else " "
        data = f"data {card.data_sha256[:12]}" if card.data_sha256 else "data not stated"
        print(f"{mark} {card.version}  {card.created[:19]}  {metrics}  ({data}) {card.note}".rstrip())
    return 0


def _add(args, registry, promotion) -> int:
    from finqa_lab.arithmetic.service.defaults import recorded_facts
    from finqa_lab.arithmetic.service.registry import read_checkpoint
    from finqa_lab.files import read_json, sha256_file

    read_checkpoint(args.checkpoint)  # the sentence about a bad folder comes before any other
    metrics, data_hash = recorded_facts(args.checkpoint)
    metrics = read_json(args.metrics, "the metrics file") if args.metrics else metrics
    if not isinstance(metrics, dict) or not all(isinstance(value, int | float) for value in metrics.values()):
        raise CourseError(f"{args.metrics} is not an object of numbers, like {{\"wrong\": 0}}")
    if args.data and not args.data.is_file():
        raise CourseError(f"the training data {args.data} are not a file; give the file that the model was trained on")
    version = registry.add(args.checkpoint, metrics, sha256_file(args.data) if args.data else data_hash, args.note)
    if args.export:
        from finqa_lab.arithmetic.service.graphs import load_engine

        load_engine(registry, version)
    if args.promote:
        promotion.promote(version)
    return _say(args, version, "promoted" if args.promote else "added")


def _promote(args, registry, promotion) -> int:
    matching = [version for version in registry.versions() if args.version and version.startswith(args.version)]
    if len(matching) > 1:
        raise CourseError(f"'{args.version}' is the start of {len(matching)} versions; give more of the id")
    return _say(args, promotion.promote(matching[0] if matching else args.version), "promoted")


def _rollback(args, registry, promotion) -> int:
    return _say(args, promotion.roll_back(), "rolled back to")


def _say(args, version: str, done: str) -> int:
    print(json.dumps({"done": done, "version": version}) if args.json else f"{done} {version}")
    return 0
