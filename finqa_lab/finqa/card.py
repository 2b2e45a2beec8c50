"""A data card in Markdown: what :mod:`finqa_lab.finqa.describe` measured, laid out to read."""

from collections.abc import Mapping

from finqa_lab import markdown
from finqa_lab.finqa.describe import NEAR_EMPTY_WORDS, Description, Spread

NAMED = 5
"""Ids or records that a line of the card names; the JSON form has all of them."""


def card(description: Description, title: str) -> str:
    """The card, ending without a newline.

    Args:
        description: of :func:`finqa_lab.finqa.describe.describe`.
        title: what was described.
    """
    d = description
    lines = [f"# {title}", ""]
    lines += _table(
        ("counted", "number"),
        [
            ("questions", f"{d.questions:,}"),
            ("pages", f"{d.pages:,}"),
            ("companies", f"{d.companies:,}"),
            ("records left out", f"{len(d.left_out):,}"),
            ("questions whose words occur more than once", f"{d.repeated_questions:,}"),
            ("programs that cannot be read or are withheld", f"{len(d.unreadable_programs):,}"),
            (f"units of at most {NEAR_EMPTY_WORDS} words", f"{100 * d.near_empty:.1f}%"),
            ("pages with two rows of one name", f"{len(d.duplicate_rows):,}"),
            ("questions with the header row as gold fact", f"{len(d.header_facts):,}"),
        ],
    )
    lines += [f"- left out: {one['record']}: {one['field']}: {one['reason']}" for one in d.left_out[:NAMED]]
    lines += ["- left out: ... (the JSON form names all)"] if len(d.left_out) > NAMED else []
    shares = {
        "operations, % of steps": d.operations,
        "steps of a program, % of programs": d.steps,
        "written answers, % of questions": d.answer_kinds,
        "gold facts are in, % of questions": d.fact_kinds,
        "number of gold facts, % of questions": d.gold_facts,
        "annotation faults, % of questions": {k: len(ids) / d.questions for k, ids in d.faults.items()},
    }
    lines += ["", *_table(("share", "of each"), [(name, _row(found)) for name, found in shares.items()])]
    constants = ", ".join(f"{name}: {count:,}" for name, count in d.constants.items()) or "none"
    lines += ["", f"Constants: {constants}.", ""]
    lengths = {
        "words of a question": d.question_words,
        "words of the texts of a page": d.report_words,
        "words of its table": d.table_words,
        "candidates of a page": d.candidates,
        "sentences": d.sentences,
        "table rows": d.rows,
        "tokens of a question": d.question_tokens,
        "tokens of a page": d.report_tokens,
    }
    rows = [(name, *_numbers(spread)) for name, spread in lengths.items() if spread is not None]
    lines += _table(("length", "mean", "p5", "p50", "p95", "largest"), rows)
    for kind, ids in d.faults.items():
        lines += [""] if kind == next(iter(d.faults)) else []
        lines.append(f"- fault '{kind}': {len(ids):,}: {', '.join(ids[:NAMED])}{', ...' if len(ids) > NAMED else ''}")
    return "\n".join(lines)


def _row(shares: Mapping[str | int, float]) -> str:
    return ", ".join(f"{name}: {100 * share:.1f}" for name, share in shares.items()) or "none"


def _numbers(spread: Spread) -> tuple[str, ...]:
    return f"{spread.mean:.1f}", *(f"{value:,.0f}" for value in (spread.p5, spread.p50, spread.p95, spread.largest))


def _table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    figures = len(header) > 2 or header[1] == "number"
    return markdown.table(markdown.figures(*header) if figures else header, rows).splitlines()
