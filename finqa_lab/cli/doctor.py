"""``finqa-lab doctor``: what is missing, and how to mend it."""


def add_parser(subparsers) -> None:
    """Register ``doctor``."""
    parser = subparsers.add_parser("doctor", help="say what is missing on this machine and how to mend it")
    parser.set_defaults(run=run)


def run(arguments) -> int:
    """Print one line per finding; 0 when nothing is missing."""
    from finqa_lab.course.doctor import examine

    missing = 0
    for finding in examine():
        print(f"{'ok  ' if finding.ok else 'MEND'}  {finding.what}: {finding.state}")
        if not finding.ok:
            missing += 1
            print(f"      -> {finding.mend}")
    print("nothing is missing" if not missing else f"{missing} to mend")
    return int(missing > 0)
