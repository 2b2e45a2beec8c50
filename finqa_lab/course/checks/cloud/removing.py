"""Check of lab 14: the order of removal, and going on behind a failure."""

import random
from collections.abc import Callable, Iterator

from finqa_lab.course.checking import Case, Check, WrongAnswer, register

TOLD = {"missing": LookupError, "fault": RuntimeError}


def _tear_down(created: list[str], remove: Callable[[str], None], **wrong) -> list[str] | None:
    order = created if wrong.get("oldest_first") else list(reversed(created))
    if wrong.get("sorted"):
        order = sorted(created)
    failed = []
    for name in order:
        try:
            remove(name)
        except LookupError:
            if wrong.get("missing_fails"):
                failed.append(name)
            if wrong.get("missing_ends"):
                break
        except RuntimeError:
            if not wrong.get("swallowed"):
                failed.append(name)
            if wrong.get("stops"):
                break
            if wrong.get("raises"):
                raise
            if wrong.get("again"):
                try:
                    remove(name)
                except RuntimeError:
                    pass
    if wrong.get("nothing"):
        return None
    if wrong.get("what_went"):
        return [name for name in order if name not in failed]
    return failed


def _played(tear_down: Callable, created: list[str], troubles: dict[str, str]) -> tuple[list[str], object]:
    """What was tried, in its order, and what was returned, or the error that came out."""
    tried = []

    def remove(name: str) -> None:
        if len(tried) > 50:
            raise ValueError("more than fifty removals")
        tried.append(name)
        if name in troubles:
            raise TOLD[troubles[name]](name)

    try:
        result = tear_down(created, remove)
    except (LookupError, RuntimeError) as error:
        if isinstance(error, NotImplementedError):
            raise
        result = type(error).__name__
    return tried, result


def removal_cases(rng: random.Random) -> Iterator[Case]:
    """Resources in the order in which they were created, and the trouble that each removal has."""
    yield Case([], {}, note="nothing was created")
    yield Case(["model"], {})
    yield Case(["model", "config", "endpoint"], {}, note="the endpoint uses the configuration, which uses the model")
    yield Case(["model"], {"model": "missing"}, note="it is gone already")
    yield Case(["model"], {"model": "fault"}, note="it cannot be removed now")
    yield Case(["model", "config", "endpoint"], {"endpoint": "fault"}, note="the first removal fails")
    yield Case(["model", "config", "endpoint"], {"endpoint": "missing"}, note="the first was not there")
    yield Case(["model", "endpoint", "alarm"], {"alarm": "fault", "model": "fault"}, note="two fail")
    for _ in range(5):
        names = rng.sample(["archive", "model", "config", "endpoint", "alarm", "target", "policy"], 5)
        yield Case(names, {name: rng.choice(["missing", "fault"]) for name in rng.sample(names, 2)})


register(
    Check(
        name="cloud.tear_down",
        task="remove everything, newest first, and return what could not be removed",
        cases=removal_cases,
        oracle=lambda created, troubles: _played(_tear_down, created, troubles),
        call=_played,
        why="an endpoint costs money whether or not its alarm could be deleted.",
        hint="go backwards; LookupError means that there was nothing to remove; on any other exception note the name "
        "and go on; return the noted names.",
        wrong=[
            WrongAnswer(
                "in the order of creation",
                lambda *a: _tear_down(*a, oldest_first=True),
                "what came last uses what came first: remove it first.",
            ),
            WrongAnswer(
                "in the order of the alphabet",
                lambda *a: _tear_down(*a, sorted=True),
                "names say nothing about who uses whom: reverse the order of creation.",
            ),
            WrongAnswer(
                "stops at a failure",
                lambda *a: _tear_down(*a, stops=True),
                "the others can still be removed, and some of them cost by the hour: go on.",
            ),
            WrongAnswer(
                "raises at a failure",
                lambda *a: _tear_down(*a, raises=True),
                "an exception leaves the loop, and all that is behind it: catch it, note the name, go on.",
            ),
            WrongAnswer(
                "what is gone has failed",
                lambda *a: _tear_down(*a, missing_fails=True),
                "not there is what was wanted: removing twice must be a success, or nobody can run it again.",
            ),
            WrongAnswer(
                "ends at what is gone",
                lambda *a: _tear_down(*a, missing_ends=True),
                "one thing that is gone says nothing about the others: go on.",
            ),
            WrongAnswer(
                "failures kept quiet",
                lambda *a: _tear_down(*a, swallowed=True),
                "who is told nothing does not run it again: return the names that failed.",
            ),
            WrongAnswer(
                "tries again at once",
                lambda *a: _tear_down(*a, again=True),
                "the others come first; whoever calls can call again, and the ledger knows what is left.",
            ),
            WrongAnswer(
                "returns nothing",
                lambda *a: _tear_down(*a, nothing=True),
                "whoever calls has to know what is left: return the list of names, an empty one when all is gone.",
            ),
            WrongAnswer(
                "returns what went",
                lambda *a: _tear_down(*a, what_went=True),
                "asked for is what could not be removed.",
            ),
        ],
    )
)
