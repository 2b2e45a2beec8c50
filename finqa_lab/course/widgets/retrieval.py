"""Retrieval explorer: how the scores and ranks of the units of a page move with the settings.

Sparse, dense and fused scores are those of :mod:`finqa_lab.retrieve.search`, over the generated filings that the course
ships.
"""

from dataclasses import dataclass
from functools import lru_cache

import ipywidgets
import numpy as np

from finqa_lab.course.drawings import Drawing, paragraph, table
from finqa_lab.course.exploring import explore
from finqa_lab.course.figures import PALETTE, axes
from finqa_lab.course.widgets.controls import box, choice, number, text_field
from finqa_lab.errors import CourseError
from finqa_lab.files import data_path
from finqa_lab.finqa.pages import Page, read_pages
from finqa_lab.finqa.records import Record
from finqa_lab.finqa.synthetic.reports import PAGES, load_reports
from finqa_lab.retrieve.analysis import Analyzer
from finqa_lab.retrieve.chunks import ROW_TEXTS, Chunk, Chunker
from finqa_lab.retrieve.dense import LSA
from finqa_lab.retrieve.hybrid import ranks, reciprocal_rank, weighted
from finqa_lab.retrieve.search import HybridSearch

ALL = "all 300 pages"
FUSIONS = ("weighted", "reciprocal rank")
DIMENSION = 128
SHOWN = 8
KINDS = ("BM25", "dense", "fused")


@dataclass(frozen=True)
class Ranked:
    """The units of what is searched, with their scores.

    Attributes:
        chunks: the units.
        scores: of each of ``KINDS``, one a unit.
        gold: whether a unit is one of those that the question needs; all False for a question of your own.
    """

    chunks: list[Chunk]
    scores: dict[str, np.ndarray]
    gold: list[bool]

    def rank(self, kind: str) -> np.ndarray:
        """Rank of every unit from 1."""
        return ranks(self.scores[kind]) + 1

    def gold_ranks(self, kind: str) -> list[int]:
        """Ranks of the units that are needed, best first."""
        return sorted(int(rank) for rank, needed in zip(self.rank(kind), self.gold) if needed)


@lru_cache
def questions() -> dict[str, Record]:
    """Questions of the dev split by their text; a text that several pages ask stands for none of them."""
    found: dict[str, list[Record]] = {}
    for record in load_reports("dev"):
        found.setdefault(record.question, []).append(record)
    return {text: records[0] for text, records in found.items() if len(records) == 1}


@lru_cache
def _pages() -> dict[str, Page]:
    return read_pages(data_path(PAGES))


@lru_cache(maxsize=4)
def _encoder(rows: str, analyzer: Analyzer) -> LSA:
    texts = [chunk.text for chunk in Chunker(rows=rows).corpus(_pages().values())]
    return LSA.fit(texts, DIMENSION, analyzer)


@lru_cache(maxsize=16)
def _search(page: str, rows: str, analyzer: Analyzer) -> HybridSearch:
    pages = _pages().values() if page == ALL else [_pages()[page]]
    return HybridSearch(Chunker(rows=rows).corpus(pages), _encoder(rows, analyzer), analyzer)


def rank_units(
    question: str,
    page: str,
    rows: str = "sentences",
    stop_words: bool = True,
    stemming: bool = True,
    fusion: str = "weighted",
    weight: float = 0.5,
) -> Ranked:
    """Score every unit of a page, or of all pages.

    Args:
        question: any text; a question of the dev split knows which units it needs.
        page: id of a page, or ``ALL``.
        rows: how table rows become text, a key of ``ROW_TEXTS``.
        stop_words: leave out function words.
        stemming: reduce words to stems.
        fusion: one of ``FUSIONS``.
        weight: of BM25 in the weighted sum, 0 to 1; the dense score has the rest.

    Raises:
        CourseError: when the question is blank or without any known term, or a setting is unknown.
    """
    if not question.strip():
        raise CourseError("the question is empty; type one, or choose one from the list")
    if page != ALL and page not in _pages():
        raise CourseError(f"there is no page '{page}'; choose one from the list")
    if fusion not in FUSIONS or rows not in ROW_TEXTS or not 0 <= weight <= 1:
        raise CourseError(
            f"rows '{rows}', fusion '{fusion}' and weight {weight} cannot be used; choose from the lists, and a "
            "weight from 0 to 1"
        )
    analyzer = Analyzer(stop_words, stemming)
    search = _search(page, rows, analyzer)
    sparse = search.sparse.scores(analyzer(question))
    dense = search.dense.scores(search.encoder.encode([question])[0])
    if not sparse.any() and not dense.any():
        raise CourseError("no word of the question occurs in the reports; ask with words of a report, such as revenue")
    both = [sparse, dense]
    fused = weighted(both, [weight, 1 - weight]) if fusion == "weighted" else reciprocal_rank(both)
    record = questions().get(question)
    needed = set() if record is None else {(record.page.filename, source) for source in record.gold_facts}
    gold = [any((chunk.page, source) in needed for source in chunk.sources) for chunk in search.chunks]
    return Ranked(search.chunks, dict(zip(KINDS, (sparse, dense, fused))), gold)


def _plot(ax, found: Ranked) -> None:
    """A line for each unit: its rank by BM25, by the dense score, and fused; needed units stand out."""
    every = np.stack([found.rank(kind) for kind in KINDS], axis=1)
    drawn = [unit for unit in np.argsort(every[:, 2]) if found.gold[unit] or every[unit].min() <= SHOWN]
    for unit in drawn:
        needed = found.gold[unit]
        line = np.where(every[unit] > SHOWN, SHOWN + 1.5, every[unit])
        style = {"color": PALETTE[1], "zorder": 3, "linewidth": 2.4} if needed else {"color": "#999999", "linewidth": 1}
        ax.plot(range(3), line, marker="s" if needed else "o", **style)
    ax.set_xticks(range(3), KINDS, fontsize=9)
    ax.set(ylim=(SHOWN + 2, 0.5), xlim=(-0.15, 2.15))
    ax.set_yticks([*range(1, SHOWN + 1), SHOWN + 1.5], [*map(str, range(1, SHOWN + 1)), "later"])


def _words(found: Ranked) -> str:
    """Where the needed units stand."""
    if not any(found.gold):
        return "This question is your own, or is asked of another page: which units it needs is not known."
    places = "; ".join(f"{kind} {' and '.join(map(str, found.gold_ranks(kind)))}" for kind in KINDS)
    return f"Ranks of the units that the question needs, of {len(found.chunks):,}: {places}."


def draw(**settings) -> Drawing:
    """One setting: ranks by the three scores, and the best units; arguments as of :func:`rank_units`."""
    found = rank_units(**settings)
    fig, ax = axes(width=6.0, height=3.4)
    _plot(ax, found)
    ax.set(ylabel="rank")
    order = np.argsort(found.rank("fused"))[:SHOWN]
    rows = []
    for unit in order:
        chunk = found.chunks[unit]
        where = chunk.sources[0] if settings["page"] != ALL else f"{chunk.page} {chunk.sources[0]}"
        marks = [f"{found.scores[kind][unit]:.3f} ({found.rank(kind)[unit]})" for kind in KINDS]
        text = chunk.text if len(chunk.text) <= 110 else chunk.text[:107] + "..."
        rows.append((("needed: " if found.gold[unit] else "") + where, *marks, text))
    words = _words(found)
    return Drawing(
        fig,
        caption="Ranks of units by BM25, by the dense score and fused. Orange squares: units that the question needs. "
        f"Rows as {settings.get('rows', 'sentences')}, fusion: {settings.get('fusion', 'weighted')}.",
        alt=f"Lines from rank to rank over three columns, one a unit. {words} Best fused: "
        f"{', '.join(found.chunks[unit].sources[0] for unit in order[:3])}.",
        above=paragraph(words),
        below=table(("unit", *(f"{kind} (rank):" for kind in KINDS), "text"), rows),
    )


EXAMPLE = "by what percentage did the turnover rise or fall from 2003 to 2004?"


def still() -> Drawing:
    """One question under three ways to write table rows."""
    record = questions()[EXAMPLE]
    fig, places = axes(1, 3, width=8.4, height=3.4, sharey=True)
    said = []
    for ax, rows in zip(places, ROW_TEXTS):
        found = rank_units(EXAMPLE, record.page.filename, rows)
        _plot(ax, found)
        ax.set_title(f"rows: {rows}", fontsize=10)
        said.append(f"rows as {rows}: {_words(found)}")
    places[0].set(ylabel="rank")
    return Drawing(
        fig,
        caption=f'"{EXAMPLE}" asked of a generated filing ({record.page.filename}), with table rows as plain cells, '
        "with the header, and as sentences. A line is a unit; orange squares are the units that the question needs.",
        alt=f"Three panels of lines from rank to rank over BM25, dense and fused. {' '.join(said)}",
    )


def widget() -> ipywidgets.VBox:
    """The controls, and the drawing of their values; a question from the list brings its page."""
    examples = questions()
    first = examples[EXAMPLE]
    pages = sorted({record.page.filename for record in examples.values()})
    chosen = choice("question from the list", list(examples), EXAMPLE, width="98%")
    fields = {
        "question": text_field("or your own", EXAMPLE),
        "page": choice("search in", [*pages, ALL], first.page.filename),
        "rows": choice("table rows as", list(ROW_TEXTS), "sentences"),
        "fusion": choice("fusion", list(FUSIONS)),
        "weight": number("weight of BM25", 0.5, 0, 1, 0.1),
        "stop_words": box("leave out stop words", True),
        "stemming": box("stems", True),
    }
    panel = explore(draw, **fields)

    def ask(change) -> None:
        if fields["page"].value != ALL:
            fields["page"].value = examples[change["new"]].page.filename
        fields["question"].value = change["new"]

    chosen.observe(ask, names="value")
    panel.children = (chosen, *panel.children)
    return panel
