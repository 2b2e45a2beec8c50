"""``finqa-lab grade``: a folder of submissions to grades, feedback pages and files for other programs."""

from pathlib import Path


def add_parser(subparsers) -> None:
    """Register ``grade``."""
    parser = subparsers.add_parser("grade", help="grade a folder of submitted notebooks")
    parser.add_argument("submissions", type=Path, nargs="?", metavar="SUBMISSIONS", help="one folder per student")
    parser.add_argument("--out", type=Path, default=Path("grades"), help="folder for the results (default grades/)")
    parser.add_argument("--lab", dest="labs", action="append", default=[], metavar="LAB",
                        help="lab to grade; may be repeated; default: every lab that a student handed in")  # fmt: skip
    parser.add_argument("--jobs", type=int, default=2, help="submissions at the same time (default 2)")
    parser.add_argument("--resume", action="store_true", help="keep grades whose inputs have not changed")
    parser.add_argument("--timeout", type=float, default=1800.0, help="wall-clock seconds a submission (default 1800)")
    parser.add_argument("--cpu", type=int, default=1800, help="processor seconds a submission (default 1800)")
    parser.add_argument("--memory", type=int, default=8192, metavar="MIB", help="memory (default 8192)")
    parser.add_argument("--processes", type=int, default=64, help="processes at the same time (default 64)")
    parser.add_argument("--output", type=float, default=8.0, metavar="MIB", help="printed text (default 8)")
    parser.add_argument("--file-size", type=int, default=512, metavar="MIB", help="any one file (default 512)")
    parser.add_argument("--scratch", type=int, default=1024, metavar="MIB", help="all files together (default 1024)")
    parser.add_argument("--autograder-zip", nargs=2, metavar=("LAB", "OUT.zip"),
                        help="write Gradescope's autograder of one lab instead of grading")  # fmt: skip
    parser.add_argument("--results", type=Path, metavar="FILE.json",
                        help="grade SUBMISSIONS as the folder of one student and one --lab into this file")  # fmt: skip
    parser.set_defaults(run=run)


def run(arguments) -> int:
    """Grade; 0 when every submission ran to its end, 1 when some did not."""
    from finqa_lab.course import labs
    from finqa_lab.course.grading import batch, exports, feedback, sandbox, source, submissions
    from finqa_lab.course.grading.model import Limits
    from finqa_lab.errors import CourseError

    if arguments.autograder_zip:
        return _write_zip(*arguments.autograder_zip)
    if arguments.submissions is None:
        raise CourseError("say which folder to grade: `finqa-lab grade SUBMISSIONS --out grades/`")
    limits = Limits(arguments.timeout, arguments.cpu, arguments.memory, arguments.processes, arguments.file_size,
                    arguments.scratch, arguments.output)  # fmt: skip
    if arguments.results:
        return _one(arguments, limits)
    names = list(dict.fromkeys(map(labs.resolve, arguments.labs))) or labs.lab_names()
    sources = [source.read(name) for name in names]
    found = submissions.find(arguments.submissions, sources)
    if not arguments.labs:
        handed_in = {submission.lab for submission in found if submission.path is not None}
        sources = [item for item in sources if item.lab in handed_in] or sources
        found = [item for item in found if item.lab in {one.lab for one in sources}]
    print(sandbox.isolation())
    grades = batch.grade_all(
        found, sources, arguments.out, limits, arguments.jobs, arguments.resume, [arguments.submissions], _say
    )
    feedback.write(grades, sources, arguments.out)
    exports.write(grades, arguments.out)
    print(f"{len(grades)} grades: {arguments.out / 'grades.csv'}")
    return 0 if exports.all_graded(grades) else 1


def _say(grade) -> None:
    note = " (kept: inputs unchanged)" if grade.resumed else ""
    print(f"{grade.student} {grade.lab}: {grade.verdict}{note}. {grade.sentence}", flush=True)


def _one(arguments, limits) -> int:
    import tempfile

    from finqa_lab.course import labs
    from finqa_lab.course.grading import batch, exports, source, submissions
    from finqa_lab.errors import CourseError
    from finqa_lab.files import write_atomic

    if len(arguments.labs) != 1:
        raise CourseError("--results grades one lab; name it with --lab")
    wanted = source.read(labs.resolve(arguments.labs[0]))
    found = submissions.of_student(arguments.submissions, [wanted], "submission")
    with tempfile.TemporaryDirectory(prefix="fl-one-") as folder:
        (grade,) = batch.grade_all(found, [wanted], Path(folder), limits)
    write_atomic(arguments.results, exports.gradescope(grade))
    _say(grade)
    return 0


def _write_zip(lab: str, target: str) -> int:
    from finqa_lab.course import labs
    from finqa_lab.course.grading import autograder
    from finqa_lab.files import write_atomic

    lab = labs.resolve(lab)
    content = autograder.archive(lab)
    write_atomic(target, content)
    print(f"{target}: autograder of {lab}, {len(content) / 2**20:.1f} MiB")
    return 0
