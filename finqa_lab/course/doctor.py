"""What a machine lacks for this course, and the command that mends it.

Every probe works in a half-installed environment: it imports what it examines inside its own body.
"""

import importlib.metadata
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from finqa_lab.errors import CourseError

INSTALL = f"{sys.executable} -m pip install -r requirements.txt"
_PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;]+)(?:\s*;\s*(.+))?$")


@dataclass(frozen=True)
class Finding:
    """One line of the doctor: ``mend`` is empty when nothing is wrong."""

    what: str
    state: str
    mend: str = ""

    @property
    def ok(self) -> bool:
        """True when there is nothing to mend."""
        return not self.mend


def examine() -> Iterator[Finding]:
    """All findings, in the order in which one would mend them. A probe that breaks is itself a finding."""
    probes: list[Callable[[], Finding]] = [_python, _packages, _kernel, _course, _data, _release, _vendor, _disk, _home]
    for probe in probes:
        try:
            yield probe()
        except (CourseError, ImportError, OSError) as error:
            yield Finding(probe.__name__.strip("_"), f"cannot be examined: {error}", INSTALL)


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    mend = "" if sys.version_info >= (3, 11) else "install Python 3.11 or newer and make the environment with it"
    return Finding("Python", f"{version} at {sys.executable}", mend)


def wrong_packages(lock: str) -> list[str]:
    """Locked packages that are missing or at another version: ``["torch 2.12.0 (locked: 2.13.0)", ...]``.

    Args:
        lock: text of ``requirements.txt``. A local version such as ``2.13.0+cpu`` satisfies ``2.13.0``; a line whose
            platform marker does not hold here is skipped.
    """
    wrong = []
    for line in lock.splitlines():
        match = _PIN.match(line.split(" #")[0].strip())
        if not match or (match[3] and not _holds(match[3])):
            continue
        try:
            found = importlib.metadata.version(match[1])
        except importlib.metadata.PackageNotFoundError:
            wrong.append(f"{match[1]} missing (locked: {match[2]})")
            continue
        if found.partition("+")[0] != match[2].partition("+")[0]:
            wrong.append(f"{match[1]} {found} (locked: {match[2]})")
    return wrong


def _holds(marker: str) -> bool:
    from packaging.markers import Marker

    return Marker(marker).evaluate()


def _packages() -> Finding:
    from finqa_lab.files import REPOSITORY

    lock = REPOSITORY / "requirements.txt"
    if not lock.exists():
        return Finding("packages", f"{lock} is missing, this is no checkout", "clone the repository and work in it")
    wrong = wrong_packages(lock.read_text(encoding="utf-8"))
    if wrong:
        return Finding("packages", f"{len(wrong)} not as locked: {'; '.join(wrong[:4])}", INSTALL)
    return Finding("packages", "all at their locked versions")


def _kernel() -> Finding:
    from jupyter_client.kernelspec import KernelSpecManager

    found = "python3" in KernelSpecManager().find_kernel_specs()
    mend = "" if found else f"{sys.executable} -m ipykernel install --sys-prefix --name python3"
    return Finding("kernel", "python3" if found else "no kernel called python3", mend)


def _course() -> Finding:
    from finqa_lab.course import labs, parameters

    for lab in (names := labs.lab_names()):
        for profile in parameters.PROFILES:
            parameters.profile(profile, lab)
    return Finding("labs", f"{len(names)}: {', '.join(names)}")


def _data() -> Finding:
    from finqa_lab.files import data_problems

    found = data_problems()
    return Finding("shipped data", found[0] if found else "as in the manifest", "git checkout -- data" if found else "")


def _release() -> Finding:
    from finqa_lab.course import labs
    from finqa_lab.course.release import stale

    found = [why for lab in labs.lab_names() if (why := stale(lab))]
    return Finding("student notebooks", found[0] if found else "up to date", "finqa-lab release" if found else "")


def _vendor() -> Finding:
    from finqa_lab.course.vendor import problems

    found = problems()
    mend = "git checkout -- book/vendor" if found else ""
    return Finding("browser scripts of the book", found[0] if found else "as recorded", mend)


def _disk() -> Finding:
    from finqa_lab.course import labs

    free = shutil.disk_usage(labs.root()).free / 1e9
    return Finding("free disk", f"{free:.1f} GB", "" if free >= 1 else "free 1 GB: executed labs and the book need it")


def _home() -> Finding:
    from finqa_lab.files import home

    folder = home()
    nearest = next(path for path in (folder, *folder.parents) if path.exists())
    mend = "" if os.access(nearest, os.W_OK) else "set FINQA_LAB_HOME to a folder that you can write"
    return Finding("cache folder", str(folder), mend)
