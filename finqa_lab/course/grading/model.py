"""The values that grading passes around: limits, exercises, grades."""

from dataclasses import asdict, dataclass, field

from finqa_lab.errors import CourseError

GRADED = "graded"
# Every verdict, with what it means; the sentence on a student's page is made from the case itself.
VERDICTS = {
    GRADED: "all cells were run to the end",
    "missing": "no notebook was handed in for this lab",
    "broken notebook": "the file is not a notebook that can be read",
    "another notebook": "the file is a notebook, but none of the lab's exercises is in it",
    "timed out": "stopped at the limit of wall-clock time",
    "CPU time": "stopped at the limit of processor time",
    "memory": "stopped at the limit of memory",
    "too many processes": "stopped at the limit of processes",
    "output too large": "stopped at the limit of printed output",
    "scratch full": "stopped at the limit of files written",
    "ended early": "the process ended itself before the last cell",
    "tampered": "something other than the grader wrote to the grader's channel",
    "grader failed": "the grader could not do its work; this is not the student's doing",
}


@dataclass(frozen=True)
class Limits:
    """What one submission may use.

    Attributes:
        seconds: wall-clock time of all cells together.
        cpu_seconds: processor time of the process (each child process has the same limit for itself).
        memory_mb: resident memory of all its processes together, and address space of each (twice that), in MiB.
        processes: processes at the same time, the notebook's own included.
        file_mb: size of any one file written, in MiB.
        scratch_mb: size of all files in the scratch folder together, in MiB.
        output_mb: text printed, in MiB.
    """

    seconds: float = 1800.0
    cpu_seconds: int = 1800
    memory_mb: int = 8192
    processes: int = 64
    file_mb: int = 512
    scratch_mb: int = 1024
    output_mb: float = 8.0

    def __post_init__(self):
        for name, value in asdict(self).items():
            if not value > 0:
                raise CourseError(f"the limit '{name}' is {value}; give a number above 0")


@dataclass
class Exercise:
    """One graded cell.

    Attributes:
        grade_id: nbgrader's id of the cell.
        points: points given; ``max_points`` if the cell ran without an exception, else 0.
        status: ``"right"``, ``"wrong"`` or ``"not run"``.
        message: what the student reads.
    """

    grade_id: str
    points: float
    max_points: float
    status: str = "not run"
    message: str = ""


@dataclass
class Grade:
    """What became of one student's submission of one lab.

    Attributes:
        verdict: a key of ``VERDICTS``.
        sentence: the verdict on this submission, one sentence.
        notes: what was restored, ignored or otherwise noticed, one sentence each.
        isolation: how the process was separated from the machine, one sentence.
        fingerprint: hash of all that the grade depends on.
    """

    student: str
    lab: str
    verdict: str
    sentence: str
    exercises: list[Exercise] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    isolation: str = ""
    output: str = ""
    fingerprint: str = ""
    resumed: bool = False

    @property
    def points(self) -> float:
        """Points of all exercises together."""
        return sum(exercise.points for exercise in self.exercises)

    @property
    def max_points(self) -> float:
        """Points that the lab gives at most."""
        return sum(exercise.max_points for exercise in self.exercises)

    def as_dict(self) -> dict:
        """Plain values, as stored beside the feedback; :meth:`from_dict` reads them."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict) -> "Grade":
        """The grade stored by :meth:`as_dict`; ``TypeError`` for a file of another version."""
        return cls(**{**values, "exercises": [Exercise(**exercise) for exercise in values["exercises"]]})


def number(value: float) -> str:
    """Points without a needless fraction.

    >>> number(2.0), number(1.5)
    ('2', '1.5')
    """
    return f"{value:g}"
