"""A card of the data set in Markdown: counts, lengths, units of answers, and what simple rules answer rightly."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from finqa_lab import markdown
from finqa_lab.quantitative.dataset import HELD_OUT, TASKS, Splits
from finqa_lab.quantitative.task import FAMILIES, Sample


def card(splits: Splits, title: str) -> str:
    """The card, ending without a newline."""
    named = splits.named()
    everything = [sample for samples in named.values() for sample in samples]
    lines = [f"# {title}", ""]
    lines += _table(
        ("split", "samples", *TASKS), [(name, str(len(s)), *_counts(s, "task", TASKS)) for name, s in named.items()]
    )
    lines += ["", "Families of phrasings:", ""]
    lines += _table(("split", *FAMILIES), [(name, *_counts(s, "family", FAMILIES)) for name, s in named.items()])
    held_out = ", ".join(f"{task} {family}" for task, family in HELD_OUT.items())
    lines += ["", f"Held out, in the split `phrasing` only: {held_out}.", "", "Difficulties:", ""]
    lines += _table(
        ("split", "1", "2", "3"), [(name, *_counts(s, "difficulty", (1, 2, 3))) for name, s in named.items()]
    )
    lines += ["", "Words, separated by white space (all splits):", ""]
    rows = [(task, *_lengths([s for s in everything if s.task == task])) for task in TASKS]
    header = (
        "task",
        *(f"{part} {spread}" for part in ("question", "reasoning", "program") for spread in ("p50", "largest")),
    )
    lines += _table(header, rows)
    units = Counter(sample.unit for sample in everything)
    shares = ", ".join(f"{unit} {count / len(everything):.1%}" for unit, count in sorted(units.items()))
    lines += [
        "",
        f"Units of the answers: {shares}.",
        "",
        "Names that a simple rule answers rightly, by difficulty:",
        "",
    ]
    lines += _table(("task", "rule", "1", "2", "3"), _rules(everything))
    return "\n".join(lines)


def _rules(samples: Sequence[Sample]) -> list[tuple[str, ...]]:
    """Share of the samples of the two tasks with names on which a known mistake gives the right answer."""
    rows = []
    for task in ("sharpe", "ranking"):
        chosen = [sample for sample in samples if sample.task == task]
        rules = dict.fromkeys(rule for sample in chosen for rule in TASKS[task].mistakes(sample.parameters))
        for rule in rules:
            shares = []
            for difficulty in (1, 2, 3):
                hits = [
                    rule not in sample.mistakes
                    for sample in chosen
                    if sample.difficulty == difficulty and rule in TASKS[task].mistakes(sample.parameters)
                ]
                shares.append(f"{np.mean(hits):.0%}" if hits else "")
            rows.append((task, rule, *shares))
    return rows


def _counts(samples: Sequence[Sample], field: str, values: Sequence) -> list[str]:
    counts = Counter(getattr(sample, field) for sample in samples)
    return [str(counts[value]) for value in values]


def _lengths(samples: Sequence[Sample]) -> list[str]:
    cells = []
    for field in ("question", "reasoning", "program"):
        words = [len(getattr(sample, field).split()) for sample in samples]
        cells += [f"{np.median(words):.0f}" if words else "", f"{max(words)}" if words else ""]
    return cells


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return markdown.table(markdown.figures(*header), rows).splitlines()
