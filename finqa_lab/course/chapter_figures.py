"""Figures of chapters that have no lab: drawn from the library and committed results as the book is built.

Each function returns the figure with caption and alternative text; :func:`fragments` makes the files that the
chapters include. The numbers in the texts are computed here, and a test computes them another way.
"""

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.figure import Figure

from finqa_lab.course.figures import PALETTE, axes, picture, picture_markup
from finqa_lab.course.results import reports, retention
from finqa_lab.quantitative.dataset import dataset
from finqa_lab.text import duplicates

Shown = tuple[Figure, str, str]
"""A figure, its caption and its alternative text."""
_DASHES = ("-", "--", ":")


def bands() -> Shown:
    """The chance that a pair shares a band, and the share of pairs really found in the training questions."""
    questions = [sample.question for sample in dataset(0).train]
    sets = [duplicates.shingles(question) for question in questions]
    signed = duplicates.signatures(sets)
    every = itertools.combinations(range(len(sets)), 2)
    exact = {pair: value for pair in every if (value := duplicates.jaccard(sets[pair[0]], sets[pair[1]])) >= 0.2}
    edges = np.array([0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 1.0])
    middles = [float(np.mean([s for s in exact.values() if low <= s < high] or [np.nan]))
               for low, high in zip(edges, edges[1:])]  # fmt: skip
    similarity = np.linspace(0, 1, 201)
    fig, ax = axes(height=3.4)
    halves = []
    for choice, colour, dash in zip((16, 32, 64), PALETTE, _DASHES):
        rows = 128 // choice
        ax.plot(similarity, [duplicates.chance(j, choice, rows) for j in similarity], dash, color=colour, marker="",
                label=f"{choice} bands of {rows}")  # fmt: skip
        met = duplicates.candidates(signed, choice)
        shares = []
        for low, high in zip(edges, edges[1:]):
            pairs = [pair for pair, s in exact.items() if low <= s < high]
            shares.append(sum(pair in met for pair in pairs) / len(pairs) if pairs else np.nan)
        ax.plot(middles, shares, linestyle="", color=colour)
        halves.append(f"{half_chance(choice, rows):.2f}")
    ax.set(xlabel="Jaccard similarity of two texts", ylabel="chance to become a candidate", ylim=(-0.03, 1.03))
    ax.legend()
    where = f"{halves[0]}, {halves[1]} and {halves[2]}"
    return (
        fig,
        f"Lines: the formula, for 128 hash functions in 16, 32 and 64 bands; one half is reached at J = {where}. "
        "Points: share of the pairs of training questions that were found, by their exact similarity.",
        f"Three S-shaped curves from 0 to 1. More bands move the curve to the left; they cross one half at {where}. "
        "Points measured on the training questions lie close to the curves.",
    )


def half_chance(choice: int, rows: int) -> float:
    """The similarity at which half of the pairs become candidates.

    >>> round(half_chance(16, 8), 3)
    0.674
    """
    return (1 - 0.5 ** (1 / choice)) ** (1 / rows)


def kept() -> Shown:
    """What the first copy of a text is worth to the second, by the distance between them."""
    report = reports.load(retention.NAME)
    rows = report["rows"]
    distances = [row["distance"] for row in rows]
    fig, ax = axes(height=3.2)
    best = {}
    for (shape, name), dash in zip(
        (("all", "all positions"), ("window", "window of 128"), ("sinks", "window and four sinks")), _DASHES
    ):
        saved = [row[f"new, {shape}"] - row[f"seen, {shape}"] for row in rows]
        best[shape] = saved
        ax.plot(range(len(rows)), saved, linestyle=dash, label=name)
    ax.axhline(0, color="black", marker="", linewidth=0.8)
    ax.set_xticks(range(len(rows)), [f"{distance:,}" for distance in distances])
    ax.set(xlabel="tokens between the copies", ylabel="saved, nats a token")
    ax.legend()
    near, far = (f"{best['all'][at]:+.2f}" for at in (0, -1))
    return (
        fig,
        f"What a copy in the context is worth, by its distance: {near} nats a token at {distances[0]} tokens, {far} at "
        f"{distances[-1]:,}. The base model of the course, trained on 1,024 positions; the rows of the table below.",
        f"Three falling lines over the distance. With all positions the saving goes from {near} to {far} nats; with "
        f"the window it is {best['window'][0]:+.2f} at {distances[0]} tokens and {best['window'][-1]:+.2f} at the "
        "largest distance, and the four sinks change little.",
    )


def preferences() -> Shown:
    """Loss of DPO and weight of a pair in its gradient, over the margin."""
    margins = np.linspace(-20, 20, 161)
    fig, (left, right) = axes(cols=2, height=3.0)
    kept_weight = []
    for beta, dash in zip((0.1, 0.5), _DASHES):
        wrong = 1 / (1 + np.exp(beta * margins))
        left.plot(margins, -np.log(1 - wrong), dash, marker="", label=rf"$\beta$ = {beta}")
        right.plot(margins, beta * wrong, dash, marker="")
        kept_weight.append(2 / (1 + math.exp(4 * beta)))
    left.axhline(math.log(2), color="black", linewidth=0.8, marker="")
    left.annotate("log 2", (-20, math.log(2)), xytext=(0, 3), textcoords="offset points", fontsize=9)
    left.set(xlabel="margin, nats", ylabel="loss", ylim=(0, 4))
    right.set(xlabel="margin, nats", ylabel="weight in the gradient", ylim=(0, 0.52))
    left.legend()
    words = f"{kept_weight[0]:.0%} with beta 0.1, {kept_weight[1]:.0%} with beta 0.5"
    return (
        fig,
        "DPO over the margin of a pair. Left: the loss, which is log 2 at margin 0 for every beta. Right: the pair's "
        f"weight in the gradient. At a margin of 4 it is this share of the weight at 0: {words}.",
        "Two panels with two falling curves each. The loss with the larger beta falls more steeply and is nearly 0 at "
        f"a margin of 8. The weight falls from beta to 0 in the form of an S; left at a margin of 4: {words}.",
    )


def several_tries() -> Shown:
    """pass@k of two models with the same share of right samples, and the bound after attacks without success."""
    tries, samples, right = range(1, 11), 10, 3
    varied = [1 - math.comb(samples - right, k) / math.comb(samples, k) for k in tries]
    biased = [1 - (1 - right / samples) ** k for k in tries]
    attacks = np.arange(5, 301)
    bound = 1 - 0.05 ** (1 / attacks)
    fig, (left, second) = axes(cols=2, height=3.1)
    left.plot(tries, varied, label="3 of 10 right, everywhere")
    left.plot(tries, biased, "--", label="the same, biased formula")
    left.plot(tries, [right / samples] * len(tries), ":", label="always right on 30%")
    left.set(xlabel="k", ylabel="pass@k", ylim=(0, 1.05), xticks=[1, 5, 10])
    left.legend(fontsize=8, loc="lower right", bbox_to_anchor=(1, 0.28))
    second.plot(attacks, bound, marker="")
    second.plot([10, 50, 300], [bound[n - 5] for n in (10, 50, 300)], linestyle="", color=PALETTE[0])
    second.set(xlabel="attacks, none successful", ylabel="rate still possible (95%)", ylim=(0, 0.5))
    ends = ", ".join(f"{bound[n - 5]:.1%} after {n}" for n in (10, 50, 300))
    return (
        fig,
        f"Left: two models with pass@1 of 0.3; at five tries one has {varied[4]:.3f} and the other 0.300. Right: the "
        f"rate of success that attacks without a success leave possible: {ends}.",
        f"Left, pass@k over k: a line from 0.3 to {varied[4]:.2f} at five and 1 at eight tries, the biased formula "
        f"below it, and a flat line at 0.3. Right, a curve that falls with the number of attacks: {ends}.",
    )


def word_counts() -> Shown:
    """Ten bins of question length, training against both held-out parts, and the labels that a loss needs."""
    named = {name: [len(one.question.split()) for one in samples] for name, samples in dataset(0).named().items()}
    edges = np.unique(np.quantile(named["train"], np.linspace(0, 1, 11))[1:-1])
    shares = {}
    for name, values in named.items():
        counts = np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1) + 0.5
        shares[name] = counts / counts.sum()
    index = {
        name: float(((now - shares["train"]) * np.log(now / shares["train"])).sum()) for name, now in shares.items()
    }
    fig, (left, right) = axes(cols=2, height=3.2)
    places = np.arange(len(edges) + 1)
    titles = {"train": "training", "validation": "new parameters", "phrasing": "new phrasing"}
    for at, (name, title) in enumerate(titles.items()):
        left.bar(places + 0.27 * (at - 1), shares[name], 0.27, color=PALETTE[at], hatch=("", "//", "..")[at],
                 edgecolor="white", label=title)  # fmt: skip
    left.set(xlabel="bin of question length, short to long", ylabel="share", xticks=[], ylim=(0, None))
    left.legend(fontsize=8)
    after = np.linspace(0.40, 0.585, 80)
    right.plot(100 * (0.60 - after), [labels(0.60, one) for one in after], marker="")
    right.plot([5, 10, 20], [labels(0.60, one) for one in (0.55, 0.50, 0.40)], linestyle="", color=PALETTE[0])
    right.set(yscale="log", xlabel="points lost, from 60%", ylabel="labels needed")
    five, ten, twenty = (round(labels(0.60, one)) for one in (0.55, 0.50, 0.40))
    parts = f"{index['validation']:.3f} for new parameters and {index['phrasing']:.3f} for new phrasings"
    return (
        fig,
        f"Left: lengths of questions in bins of equal share of training; PSI {parts}. Right: labels that show a loss "
        f"with 80% power: {five} for five points, {ten} for ten, {twenty} for twenty.",
        f"Left, bars in {len(places)} bins: new parameters follow training, new phrasings are nearly absent from "
        f"three bins and crowd three of the longer ones; PSI {parts}. "
        f"Right, a steeply falling curve: {five} labels for a loss of five points, "
        f"{ten} for ten, {twenty} for twenty.",
    )


def labels(before: float, after: float) -> float:
    """Random labels that tell two shares apart: 5% false alarms, one-sided, 80% power.

    >>> round(labels(0.60, 0.55))
    600
    """
    spread = [math.sqrt(share * (1 - share)) for share in (before, after)]
    return ((1.645 * spread[0] + 0.842 * spread[1]) / (before - after)) ** 2


FIGURES: dict[str, Callable[[], Shown]] = {
    "data_governance": bands,
    "decoder_long": kept,
    "alignment_preferences": preferences,
    "evaluation_matrix": several_tries,
    "operations_monitoring": word_counts,
}
"""The function of each chapter, whose name is its folder and file."""


def fragments(names: Sequence[str] = tuple(FIGURES)) -> dict[str, str]:
    """The HTML of each figure by its chapter; where a result has not been measured, a sentence in its place."""
    made = {}
    for name in names:
        if name == "decoder_long" and not reports.load(retention.NAME):
            made[name] = reports.not_measured(retention.COMMAND)
            continue
        fig, caption, alt = FIGURES[name]()
        png, width = picture(fig)
        made[name] = f"```{{raw}} html\n{picture_markup(png, caption=caption, alt=alt, width=width)}\n```\n"
    return made
