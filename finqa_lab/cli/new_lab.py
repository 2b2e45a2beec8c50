"""``finqa-lab new-lab``: the first version of a new lab."""


def add_parser(subparsers) -> None:
    """Register ``new-lab``."""
    parser = subparsers.add_parser("new-lab", help="write the files of a new lab, and say what is left to do")
    parser.add_argument("name", metavar="NAME", help="such as 12_drift; without a number, the next one is taken")
    parser.add_argument("--title", default="", help="its title behind the number; default the subject")
    parser.set_defaults(run=run)


def run(arguments) -> int:
    """Write the files, name them, and print the list of what is left."""
    from finqa_lab.course import labs, new_lab

    lab = new_lab.chosen_name(arguments.name)
    for path in new_lab.create(lab, arguments.title):
        print(f"written: {path.relative_to(labs.root())}")
    print(new_lab.to_do(lab))
    return 0
