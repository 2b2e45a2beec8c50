"""Golden metrics: the bounds that a lab's recorded metrics must keep, each with the reason for its margin.

``tests/golden/<lab>.json`` holds, for every metric of the lab's ``smoke`` run, the recorded value, how it is compared
(``kind``), the ``margin``, the bounds that follow from both, the unit, and why the margin is what it is. Bounds change
only through ``finqa-lab run LAB --update-golden``, which prints what it changed; to choose another ``kind``,
``margin`` or ``why``, edit the field and run that command.
"""

import json
import math
from functools import partial
from pathlib import Path

from finqa_lab.course import labs, metrics
from finqa_lab.course.metrics import format_value
from finqa_lab.errors import CourseError
from finqa_lab.files import read_json, write_atomic

KINDS = ("exact", "within", "at_least", "at_most", "free")
_FIELDS = ("value", "kind", "margin", "low", "high", "unit", "why")


def path(lab: str) -> Path:
    """The golden file of ``lab``."""
    return labs.root() / "tests" / "golden" / f"{lab}.json"


def bounds(value: float, kind: str, margin: float | str) -> tuple[float | None, float | None]:
    """Lower and upper bound that follow from a recorded value.

    ``margin`` is absolute, or a share of the value when written as a percentage. ``free`` records the value without
    a bound: it is for what depends on the machine, such as seconds.

    >>> bounds(200.0, "within", "5%"), bounds(0.9, "at_least", 0.05), bounds(3, "exact", 0), bounds(3, "free", 0)
    ((190.0, 210.0), (0.85, None), (3, 3), (None, None))
    """
    if kind == "exact":
        return value, value
    size = abs(value) * float(margin[:-1]) / 100 if isinstance(margin, str) else margin
    low, high = value - size, value + size
    return (
        None if kind in ("at_most", "free") else _tidy(low),
        None if kind in ("at_least", "free") else _tidy(high),
    )


def _tidy(number: float) -> float:
    return number if isinstance(number, int) else float(f"{number:.12g}")  # 0.85, not 0.8500000000000001


def load(lab: str) -> dict[str, dict]:
    """The golden entries of ``lab``; {} when it has no golden file yet.

    Raises:
        CourseError: for a damaged file, or bounds that do not follow from value, kind and margin.
    """
    if not path(lab).exists():
        return {}
    entries = read_json(path(lab), "the golden file").get("metrics", {})
    for name, entry in entries.items():
        missing = [field for field in _FIELDS if field not in entry]
        if missing or entry["kind"] not in KINDS:
            what = f"lacks {', '.join(missing)}" if missing else f"has the unknown kind '{entry['kind']}'"
            raise CourseError(f"{path(lab)}: metric '{name}' {what}; run `finqa-lab run {lab} --update-golden`")
        if [entry["low"], entry["high"]] != list(bounds(entry["value"], entry["kind"], entry["margin"])):
            raise CourseError(
                f"{path(lab)}: the bounds of '{name}' do not follow from its value, kind and margin; "
                f"run `finqa-lab run {lab} --update-golden`"
            )
    return entries


def compare(lab: str, metrics: dict[str, dict]) -> list[str]:
    """What the recorded ``metrics`` break: one sentence each, empty when all bounds hold."""
    entries = load(lab)
    problems = [f"metric '{name}' was not recorded" for name in entries if name not in metrics]
    for name, found in metrics.items():
        if name not in entries:
            problems.append(f"metric '{name}' has no golden entry; add it with --update-golden")
            continue
        low, high = entries[name]["low"], entries[name]["high"]
        value = float(found["value"])
        if not (low is None or value >= low) or not (high is None or value <= high) or not math.isfinite(value):
            problems.append(f"{name} = {found['value']} is outside {describe(entries[name], digits=10)}")
    return problems


def describe(entry: dict, digits: int = 4) -> str:
    """The bound in words: ``"[190, 210]"``, ``"at least 0.85"``, ``"exactly 3"``, ``"no bound"``."""
    low, high = entry["low"], entry["high"]
    format_value = partial(metrics.format_value, digits=digits)
    if low is None and high is None:
        return "no bound"
    if low is None or high is None:
        return f"at most {format_value(high)}" if low is None else f"at least {format_value(low)}"
    return f"exactly {format_value(low)}" if low == high else f"[{format_value(low)}, {format_value(high)}]"


def update(lab: str, metrics: dict[str, dict], profile: str) -> list[str]:
    """Rewrite the golden file from ``metrics`` and return the differences, one line each.

    A known metric keeps its kind, margin and why; a new one starts as ``exact`` with an empty ``why``, which the
    test suite refuses until somebody has written it.
    """
    existing = read_json(path(lab), "the golden file").get("metrics", {}) if path(lab).exists() else {}
    entries, changes = {}, []
    for name, found in metrics.items():
        old = existing.get(name, {})
        value = found["value"]
        kind, margin = old.get("kind", "exact"), old.get("margin", 0)
        low, high = bounds(value, kind, margin)
        new = dict(zip(_FIELDS, (value, kind, margin, low, high, found["unit"], old.get("why", ""))))
        if new != old:
            before = f"{format_value(old['value'])} ({describe(old)})" if "value" in old and "low" in old else "new"
            changes.append(f"{name}: {before} -> {format_value(value)} ({describe(new)})")
        entries[name] = new
    changes += [f"{name}: removed" for name in existing if name not in entries]
    if changes:
        write_atomic(path(lab), json.dumps({"lab": lab, "profile": profile, "metrics": entries}, indent=1) + "\n")
    return changes
