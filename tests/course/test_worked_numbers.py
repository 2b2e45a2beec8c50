"""Pages whose numbers are worked on the page: their snippets run, and their tables are computed again."""

import doctest
import math
import re

import numpy as np
import pytest

from finqa_lab import markdown
from finqa_lab.course import chapter_figures, labs
from finqa_lab.course.figures import alt_problem
from finqa_lab.course.results import reports
from finqa_lab.quantitative.dataset import dataset
from finqa_lab.text import duplicates

PAGES = [
    "book/data/governance.md",
    "book/alignment/preferences.md",
    "book/evaluation/matrix.md",
    "book/operations/monitoring.md",
    "book/decoder/long.md",
]


def text_of(page: str) -> str:
    return (labs.root() / page).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES)
def test_the_snippets_of_the_page_print_what_it_shows(page):
    test = doctest.DocTestParser().get_doctest(text_of(page), {}, page, page, 0)
    assert len(test.examples) >= 3
    output = []
    doctest.DocTestRunner(verbose=False).run(test, out=output.append)
    assert not output, "".join(output)


def band_table() -> str:
    """Pairs of training questions with a similarity of a half or more that each choice of bands finds."""
    questions = [sample.question for sample in dataset(0).train]
    sets = [duplicates.shingles(question) for question in questions]
    similar = [
        duplicates.jaccard(sets[first], sets[second])
        for first in range(len(sets))
        for second in range(first + 1, len(sets))
    ]
    similar = [value for value in similar if value >= 0.5]
    rows = []
    for bands in (16, 32, 64):
        expected = sum(duplicates.chance(value, bands, 128 // bands) for value in similar)
        found = len(duplicates.near_duplicates(questions, 0.5, bands=bands))
        candidates = len(duplicates.candidates(duplicates.signatures(sets), bands))
        rows.append((f"{bands} of {128 // bands}", f"{candidates:,}", f"{found} of {len(similar)}", f"{expected:.1f}"))
    return markdown.table(("bands", "candidates:", "found:", "expected by the formula:"), rows)


def closest_table() -> str:
    """Questions of the held-out parts by the similarity of the closest training question."""
    splits = dataset(0)
    rows = []
    for hidden in (False, True):
        for name in ("validation", "phrasing"):
            parts = []
            for samples in (getattr(splits, name), splits.train):
                questions = [sample.question for sample in samples]
                parts.append([re.sub(r"\d+", "0", one) for one in questions] if hidden else questions)
            best = [value for _, value in duplicates.closest(*parts)]
            counts = [sum(value >= bound for value in best) for bound in (0.3, 0.5, 0.8, 1.0)]
            what = "new parameters" if name == "validation" else "new parameters, new phrasing"
            rows.append((what + (", digits hidden" if hidden else ""), *map(str, counts), f"{max(best):.2f}"))
    return markdown.table(("300 questions with", "0.3 or more:", "0.5:", "0.8:", "1:", "closest:"), rows)


@pytest.mark.parametrize("table", [band_table, closest_table])
def test_the_tables_of_data_governance_are_what_the_library_counts(table):
    assert table() in text_of("book/data/governance.md")


def preference_table() -> str:
    """Loss of DPO and the weight of a pair in its gradient, by the margin in nats."""
    rows = []
    for margin in (-20, -4, 0, 4, 20):
        cells = []
        for beta in (0.1, 0.5):
            wrong = 1 / (1 + math.exp(beta * margin))  # the probability that the model gives to the other order
            cells += [f"{-math.log(1 - wrong):.3f}", f"{beta * wrong:.4f}"]
        rows.append((str(margin), *cells))
    names = [f"{what}, beta {beta}:" for beta in (0.1, 0.5) for what in ("loss", "weight")]
    return markdown.table(("margin:", *names), rows)


def test_the_table_of_preferences_is_what_the_formula_gives():
    assert preference_table() in text_of("book/alignment/preferences.md")


def index_table() -> str:
    """Population stability index of the words of a question, training against the held-out parts."""
    splits = dataset(0)
    words = {name: [len(one.question.split()) for one in samples] for name, samples in splits.named().items()}
    edges = np.unique(np.quantile(words["train"], np.linspace(0, 1, 11))[1:-1])

    def shares(values: list[int]) -> np.ndarray:
        counts = np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1) + 0.5
        return counts / counts.sum()

    before, rows = shares(words["train"]), []
    noise = (len(edges)) * (1 / 900 + 1 / 300)
    for name, what in (("validation", "new parameters"), ("phrasing", "new parameters, new phrasing")):
        now = shares(words[name])
        index = float(((now - before) * np.log(now / before)).sum())
        rows.append((what, f"{np.median(words[name]):.0f}", f"{index:.3f}", f"{noise:.3f}"))
    header = ("300 questions with", "words, median:", "PSI:", "expected without drift:")
    return markdown.table(header, rows)


def test_the_table_of_monitoring_is_what_the_data_give():
    assert index_table() in text_of("book/operations/monitoring.md")


@pytest.fixture(scope="module")
def fragments():
    return chapter_figures.fragments()


@pytest.mark.parametrize("page", PAGES)
def test_the_page_shows_its_figure_with_a_caption_and_a_description(page, fragments):
    name = page.removeprefix("book/").removesuffix(".md").replace("/", "_")
    assert f"{{include}} ../_generated/figure_{name}.md" in text_of(page)
    markup = fragments[name]
    assert re.search("<figcaption[^>]*>[^<]{60,}</figcaption>", markup)
    assert alt_problem(re.search('alt="([^"]*)"', markup)[1]) == ""


def shown(fragments, name: str) -> str:
    return re.sub('src="[^"]*"', "", fragments[name])


def test_the_bands_of_the_figure_reach_one_half_where_it_says(fragments):
    for bands, place in ((16, "0.67"), (32, "0.38"), (64, "0.10")):
        assert place in shown(fragments, "data_governance")
        found = [duplicates.chance(float(place) + by, bands, 128 // bands) for by in (-0.006, 0.006)]
        assert found[0] < 0.5 < found[1]


def test_the_figure_of_long_contexts_has_the_savings_of_the_committed_report(fragments):
    rows = reports.load("retention")["rows"]
    for row in (rows[0], rows[-1]):
        saved = f"{row['new, all'] - row['seen, all']:+.2f}"
        assert f"{saved} nats a token at {row['distance']} tokens" in shown(fragments, "decoder_long") or (
            f"{saved} at {row['distance']}" in shown(fragments, "decoder_long")
        )


def test_the_figure_of_preferences_has_the_shares_of_the_table_s_weights(fragments):
    weights = {beta: [float(row.split("|")[column]) for row in preference_table().splitlines()[4:6]]
               for beta, column in ((0.1, 3), (0.5, 5))}  # fmt: skip
    for beta, (at_zero, at_four) in weights.items():
        assert f"{at_four / at_zero:.0%} with beta {beta}" in shown(fragments, "alignment_preferences")


def test_the_figure_of_the_matrix_has_the_numbers_of_the_page_s_snippets(fragments):
    text = text_of("book/evaluation/matrix.md")
    text_of_figure = shown(fragments, "evaluation_matrix")
    passed, bounds = re.search(r"\[0\.3, 0\.708, (0\.917)\]", text)[1], re.search(r"\[0\.259, 0\.058, 0\.01\]", text)[0]
    assert f"one has {passed}" in text_of_figure
    for attacks, bound in zip((10, 50, 300), bounds.strip("[]").split(", ")):
        assert f"{float(bound):.1%} after {attacks}" in text_of_figure


def test_the_figure_of_monitoring_has_the_index_of_the_table_and_the_labels_of_the_snippet(fragments):
    rows = [line.split(" | ") for line in index_table().splitlines()[2:]]
    text = shown(fragments, "operations_monitoring")
    assert f"PSI {rows[0][2]} for new parameters and {rows[1][2]} for new phrasings" in text
    assert "[3730, 600, 151, 37]" in text_of("book/operations/monitoring.md")
    assert "600 for five points, 151 for ten, 37 for twenty" in text
