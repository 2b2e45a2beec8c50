"""Gradescope's autograder of one lab as a zip: the library, its data, the lab's source, and two scripts at the root.

Gradescope runs ``setup.sh`` once when the image is built and ``run_autograder`` for each submission, and reads
``/autograder/results/results.json`` (https://gradescope-autograders.readthedocs.io/en/latest/specs/). The same
checkout gives the same bytes: names are sorted, times and modes are fixed.
"""

import io
import zipfile
from pathlib import Path

from finqa_lab.course import labs, release
from finqa_lab.errors import CourseError
from finqa_lab.files import REPOSITORY

_ROOT_FILES = ("pyproject.toml", "requirements.txt", "README.md", "LICENSE")
_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest that the format knows
_SETUP = """\
#!/usr/bin/env bash
# Runs once, when Gradescope builds the image: Python and the locked packages.
set -euo pipefail
apt-get update
apt-get install -y python3 python3-venv util-linux
python3 -c 'import sys; sys.exit("Python 3.11 or newer is needed (Ubuntu 24.04)" if sys.version_info < (3, 11) else 0)'
python3 -m venv /autograder/environment
cd /autograder/source/course
# PyTorch for Linux brings CUDA's libraries, several gigabytes; its build for processors alone satisfies the lock too.
/autograder/environment/bin/python -m pip install -q -r requirements.txt
"""
_RUN = """\
#!/usr/bin/env bash
# Runs for each submission. AUTOGRADER and PYTHON exist so that the script can be tried elsewhere.
set -euo pipefail
home="${{AUTOGRADER:-/autograder}}"
python="${{PYTHON:-$home/environment/bin/python}}"
mkdir -p "$home/results"
cd "$home/source/course"
export PYTHONPATH="$PWD" FINQA_LAB_COURSE="$PWD" FINQA_LAB_DATA="$PWD/data"
"$python" -m finqa_lab.cli grade "$home/submission" --lab {lab} --timeout {seconds} \\
  --results "$home/results/results.json"
"""


def archive(lab: str, seconds: int = 900) -> bytes:
    """The zip's bytes.

    Args:
        lab: full name of the lab.
        seconds: wall-clock limit of a submission; it must be below the time-out set on Gradescope.

    Raises:
        CourseError: when the lab cannot be released, or the library is installed without its checkout.
    """
    if not (REPOSITORY / "pyproject.toml").is_file():
        raise CourseError("the autograder is made from a checkout of the course; the library here is installed alone")
    files = {"setup.sh": _SETUP.encode(), "run_autograder": _RUN.format(lab=lab, seconds=seconds).encode()}
    files |= {f"course/{name}": (REPOSITORY / name).read_bytes() for name in _ROOT_FILES}
    for folder in ("finqa_lab", "data"):
        for path in sorted((REPOSITORY / folder).rglob("*")):
            if path.is_file() and not _left_out(path):
                files[f"course/{path.relative_to(REPOSITORY).as_posix()}"] = path.read_bytes()
    files[f"course/solutions/{lab}.ipynb"] = labs.solution_path(lab).read_bytes()
    files[f"course/labs/{lab}.ipynb"] = release.release_text(lab).encode()
    return _zip(files)


def _left_out(path: Path) -> bool:
    return path.suffix == ".pyc" or any(part.startswith(".") or part == "__pycache__" for part in path.parts[-3:])


def _zip(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as target:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _TIME)
            entry.compress_type, entry.create_system = zipfile.ZIP_DEFLATED, 3
            entry.external_attr = (0o755 if name in ("setup.sh", "run_autograder") else 0o644) << 16
            target.writestr(entry, files[name])
    return stream.getvalue()
