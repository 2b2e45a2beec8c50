"""``finqa-lab release`` and ``finqa-lab normalise``: student notebooks, and the committed form of the sources."""


def add_parser(subparsers) -> None:
    """Register ``release`` and ``normalise``."""
    parser = subparsers.add_parser("release", help="make labs/ from solutions/")
    parser.add_argument("labs", nargs="*", metavar="LAB", help="default: all")
    parser.add_argument("--check", action="store_true", help="write nothing; fail when labs/ is not up to date")
    parser.set_defaults(run=release)
    parser = subparsers.add_parser("normalise", help="bring solutions/ into the committed form (no outputs)")
    parser.add_argument("labs", nargs="*", metavar="LAB", help="default: all")
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a source is not in that form")
    parser.set_defaults(run=normalise)


def release(arguments) -> int:
    """Write or compare the student notebooks."""
    from finqa_lab.course import labs
    from finqa_lab.course import release as releasing

    status = 0
    for lab in [labs.resolve(name) for name in arguments.labs] or labs.lab_names():
        if arguments.check:
            why = releasing.stale(lab)
            print(why or f"{lab}: up to date")
            status = status or bool(why)
        else:
            print(f"{lab}: {'written' if releasing.release(lab) else 'unchanged'}")
    return int(status)


def normalise(arguments) -> int:
    """Rewrite or compare the solution notebooks."""
    from finqa_lab.course import labs
    from finqa_lab.course.normalise import to_text
    from finqa_lab.files import write_atomic

    status = 0
    for lab in [labs.resolve(name) for name in arguments.labs] or labs.lab_names():
        path = labs.solution_path(lab)
        text = to_text(labs.read_notebook(path))
        if path.read_text(encoding="utf-8") == text:
            print(f"{lab}: in the committed form")
        elif arguments.check:
            print(f"{lab}: not in the committed form; run `finqa-lab normalise`")
            status = 1
        else:
            write_atomic(path, text)
            print(f"{lab}: rewritten")
    return status
