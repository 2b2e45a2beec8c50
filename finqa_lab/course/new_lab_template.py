"""The first version of a lab that ``finqa-lab new-lab`` writes: small, complete, and everything in it to be replaced.

``@lab@``, ``@number@``, ``@subject@`` and ``@title@`` stand for the names. What an author must rewrite says REPLACE.
The example is the relative change of two numbers: one exercise, one check, two metrics, three figures.
"""

PARAMETERS = """\
seed: int = 0  # seed of the drawn numbers [0, 1000000]
samples: int = 2000  # pairs of numbers to draw [10, 1000000]"""

PROFILES = {
    "smoke": {"seed": 0, "samples": 2_000},
    "cpu": {"seed": 0, "samples": 20_000},
    "gpu": {"seed": 0, "samples": 1_000_000},
}

# The metrics of the smoke profile. A test runs the scaffolded lab, so a value that does not follow from it is noticed.
GOLDEN = {
    "share_of_rises": (0.494, "exact", 0, "", "REPLACE: counted among 2,000 pairs that Python's own generator draws"),
    "mean_change": (
        0.09812666857348017, "within", 1e-9, "", "REPLACE: the same pairs; room for another order of summation",
    ),
}  # fmt: skip

# (cell type, id, nbgrader flags, source) in the fixed order of a lab.
CELLS = (
    (
        "markdown",
        "title",
        {},
        """\
# Lab @number@: @title@

REPLACE: the question that this lab answers, in one paragraph that a reader who has not done it understands.

**Objectives.** After this lab you can

- REPLACE: say in one line what the reader can do afterwards;
- compute a relative change, and say what it is a share of;
- say why the mean of many relative changes is above zero when rises and falls are equally likely.

**Time** 15 minutes. **Difficulty** easy. **Prerequisites** Python, percentages.""",
    ),
    (
        "code",
        "imports",
        {},
        """\
import random

import numpy as np

from finqa_lab.course import axes, check, figure, predict, record""",
    ),
    ("code", "parameters", {"grade_id": "parameters", "locked": True}, PARAMETERS),
    (
        "markdown",
        "look-idea",
        {},
        """\
## 1. Look at the data

REPLACE: one idea, then something to look at. Here: pairs of numbers, \
each between 50 and 150, an old one and a new one.""",
    ),
    (
        "code",
        "look-run",
        {},
        """\
rng = random.Random(seed)
pairs = [(rng.uniform(50, 150), rng.uniform(50, 150)) for _ in range(samples)]
old, new = np.array(pairs).T
print("the first three:", [(round(a), round(b)) for a, b in pairs[:3]])
record("share_of_rises", float((new > old).mean()))""",
    ),
    (
        "code",
        "look-figure",
        {},
        """\
fig, ax = axes()
ax.scatter(old, new, s=8, marker="o")
ax.plot([50, 150], [50, 150], color="#000000", marker="", linestyle="--", label="no change")
ax.set(xlabel="old", ylabel="new")
ax.legend()
figure(
    fig,
    caption=f"{samples:,} pairs, seed {seed}.",
    alt=f"Scatter plot that fills a square evenly; {(new > old).mean():.0%} of the points lie above the diagonal.",
)""",
    ),
    (
        "markdown",
        "change-idea",
        {},
        """\
## 2. Relative change

REPLACE: what the reader builds, and the definition that is needed. The **relative change** from $a$ to $b$ is how far \
$b$ is from $a$, as a share of $a$: from 100 to 125 it is 0.25.""",
    ),
    (
        "code",
        "change-exercise",
        {"grade_id": "change", "solution": True},
        '''\
def relative_change(before: float, after: float) -> float:
    """Change from ``before`` to ``after`` as a share of ``before``, which is not 0.

    Example: relative_change(100.0, 125.0) == 0.25.
    """
    ### BEGIN SOLUTION
    return (after - before) / before
    ### END SOLUTION''',
    ),
    (
        "code",
        "change-check",
        {"grade_id": "test-change", "grade": True, "locked": True, "points": 1},
        """\
check("@subject@.relative_change", relative_change)
### BEGIN HIDDEN TESTS
check("@subject@.relative_change", relative_change, seed=7)
### END HIDDEN TESTS""",
    ),
    (
        "markdown",
        "mean-predict",
        {},
        """\
The old and the new number are drawn alike, so a rise is as likely as a fall. Predict the mean relative change.""",
    ),
    ("code", "mean-guess", {}, 'mean_guess = predict("mean relative change", 0.0)'),
    (
        "code",
        "mean-measure",
        {},
        """\
changes = new / old - 1  # a measurement does not need the reader's function: whoever is stuck can go on
mean_guess.reveal(changes.mean())
record("mean_change", float(changes.mean()))""",
    ),
    (
        "code",
        "mean-figure",
        {},
        """\
fig, ax = axes()
ax.hist(changes, bins=30)
ax.axvline(changes.mean(), color="#D55E00", marker="", linestyle="--", label=f"mean {changes.mean():.3f}")
ax.set(xlabel="relative change", ylabel="pairs")
ax.legend()
figure(
    fig,
    caption="The relative changes. No change is below minus one; a rise has no such limit.",
    alt=f"Histogram from {changes.min():.2f} to {changes.max():.2f} with a long tail to the right; "
    f"the mean, {changes.mean():.3f}, is marked.",
)""",
    ),
    (
        "markdown",
        "size-idea",
        {},
        """\
## 3. How many pairs it takes

REPLACE: what the measurement depends on. Halving and doubling are one step each, yet their \
changes are -0.5 and 1: that is why the mean lies above zero, and more pairs do not mend it.""",
    ),
    (
        "code",
        "size-figure",
        {},
        """\
running = np.cumsum(changes) / np.arange(1, samples + 1)
fig, ax = axes()
ax.plot(np.arange(1, samples + 1), running, marker="")
ax.axhline(np.log(3) - 1, color="#D55E00", marker="", linestyle="--", label="expected: ln 3 - 1")
ax.set(xlabel="pairs", ylabel="mean relative change", xscale="log")
ax.legend()
figure(
    fig,
    caption="The mean over the first pairs, and what it tends to.",
    alt=f"A line that swings at first and ends at {running[-1]:.3f}, beside a level line at {np.log(3) - 1:.3f}.",
)""",
    ),
    (
        "markdown",
        "takeaways",
        {},
        """\
## Takeaways

- REPLACE: what to remember, as sentences that are true outside this lab.
- The mean of relative changes is above zero even when rises and falls are equally likely.""",
    ),
    ("markdown", "next", {}, "## Next\n\nREPLACE: the chapter and the lab that continue from here."),
)

CHECKS = '''\
"""Checks of lab @number@. REPLACE: one line that says of what; `finqa_lab.course.checking` has the rules."""

import random
from collections.abc import Iterator

from finqa_lab.course.checking import Case, Check, WrongAnswer, register


def change_cases(rng: random.Random) -> Iterator[Case]:
    """An old and a new number, the old one never 0; smallest first."""
    yield Case(100.0, 125.0)
    yield Case(100.0, 50.0, note="a fall")
    yield Case(-50.0, 25.0, note="from a loss to a profit")
    for _ in range(5):
        yield Case(round(rng.uniform(1, 500), 2), round(rng.uniform(1, 500), 2))


def _change(before: float, after: float) -> float:
    return (after - before) / before


register(
    Check(
        name="@subject@.relative_change",
        task="the change from before to after, as a share of before",
        cases=change_cases,
        oracle=_change,
        why="most questions on a report's table ask for a change, and its base decides the answer.",
        hint="subtract the old number from the new one, then divide by the old one.",
        wrong=[
            WrongAnswer(
                "divided by the new number",
                lambda before, after: (after - before) / after,
                "the base is the number before: from 100 to 125 the change is 25 of 100, not 25 of 125.",
            ),
            WrongAnswer(
                "old minus new",
                lambda before, after: (before - after) / before,
                "a rise is positive: subtract the old number from the new one.",
            ),
            WrongAnswer(
                "in percent",
                lambda before, after: 100 * (after - before) / before,
                "a share is asked for, 0.25 for a quarter; multiply by 100 only to print it.",
            ),
        ],
    )
)
'''

TO_DO = """\
What is left to do by hand:
  1. Write the lab: replace what says REPLACE in solutions/@lab@.ipynb and finqa_lab/course/checks/@subject@.py.
  2. Run it: finqa-lab run @lab@ --update-golden; then write in tests/golden/@lab@.json why each margin is what it is.
  3. After each change of the source: make release.
  4. _toc.yml: the line `- file: labs/@lab@` below its chapter, and the chapter itself in book/.
  5. tests/notebooks/test_book.py: the number of pages.
  6. book/index.md: a row in the map of labs. README.md: a row in the table of labs.
  7. book/labs.yml: its hardware, and the meaning of the metrics that its page ends with.
  8. CHANGELOG.md: a line below Handouts, and one below Code for what is new in the library.
The page book/contributing.md explains each step."""
