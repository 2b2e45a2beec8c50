"""Checks of lab 06: the learning rate of a step, accumulation, clipping, and when to stop."""

import math
import random
from collections.abc import Iterator

from finqa_lab.course.checking import Case, Check, WrongAnswer, register


def rate_cases(rng: random.Random) -> Iterator[Case]:
    """Step counted from 0, steps, warm-up steps, highest rate, and the last rate as a share of it."""
    yield Case(0, 10, 2, 1.0, 0.1, note="the first step")
    yield Case(1, 10, 2, 1.0, 0.1, note="the end of the warm-up")
    yield Case(2, 10, 2, 1.0, 0.1)
    yield Case(6, 10, 2, 0.5, 0.0, note="half of the cosine")
    yield Case(9, 10, 0, 2.0, 0.2, note="no warm-up")
    for _ in range(4):
        steps = rng.randrange(20, 200)
        yield Case(rng.randrange(steps), steps, rng.randrange(1, 15), 2e-2, 0.05)


def _rate(step, steps, warmup, peak, floor, first=1, behind=True, curve="cosine", share=True):
    if step < warmup:
        return peak * (step + first) / warmup
    done = (step - warmup) / (steps - warmup) if behind else step / steps
    shape = (1 + math.cos(math.pi * done)) / 2 if curve == "cosine" else 1 - done
    return peak * (floor + (1 - floor) * shape) if share else max(peak * shape, floor * peak)


register(
    Check(
        name="lora.rate",
        task="learning rate of a step: it rises over the warm-up and falls along half a cosine",
        cases=rate_cases,
        oracle=_rate,
        why="AdamW's moments mean little in the first steps; a full step on them can undo the base.",
        hint="in the warm-up peak * (step + 1) / warmup; behind it, done = (step - warmup) / (steps - warmup).",
        wrong=[
            WrongAnswer(
                "nothing in the first step",
                lambda *case: _rate(*case, first=0),
                "steps count from 0, and the first one should move: (step + 1) / warmup.",
            ),
            WrongAnswer(
                "cosine from the beginning",
                lambda *case: _rate(*case, behind=False),
                "the cosine begins where the warm-up ends: subtract the warm-up from both step and steps.",
            ),
            WrongAnswer(
                "straight line",
                lambda *case: _rate(*case, curve="linear"),
                "half a cosine, (1 + cos(pi * done)) / 2, not 1 - done.",
            ),
            WrongAnswer(
                "floor cut off",
                lambda *case: _rate(*case, share=False),
                "the curve ends at the floor, it is not cut there: floor + (1 - floor) * shape.",
            ),
            WrongAnswer(
                "no floor",
                lambda step, steps, warmup, peak, floor: _rate(step, steps, warmup, peak, 0.0),
                "the last rate is floor times the highest, not 0.",
            ),
        ],
    )
)


def part_cases(rng: random.Random) -> Iterator[Case]:
    """Micro-batches of one step, each a list with the loss of every learnt token."""
    yield Case([[2.0, 4.0]])
    yield Case([[1.0, 1.0, 1.0], [5.0]], note="three learnt tokens, then one")
    yield Case([[0.5], [0.5], [0.5]])
    for _ in range(3):
        yield Case([[round(rng.uniform(0, 4), 2) for _ in range(rng.randrange(1, 9))] for _ in range(3)])


def _parts(parts: list[list[float]]) -> list[float]:
    count = sum(map(len, parts))
    return [sum(part) / count for part in parts]


register(
    Check(
        name="lora.accumulate",
        task="what each micro-batch contributes to the loss of its step, so that the parts add up to the large batch",
        cases=part_cases,
        oracle=_parts,
        why="the usual mean of means gives a token in a short micro-batch more weight than one in a long one.",
        hint="the loss of the large batch is the mean over all learnt tokens of the step: what is its denominator?",
        wrong=[
            WrongAnswer(
                "mean of means",
                lambda parts: [sum(part) / len(part) / len(parts) for part in parts],
                "each part is divided by its own count of tokens: take the count of the whole step for all parts.",
            ),
            WrongAnswer(
                "means added",
                lambda parts: [sum(part) / len(part) for part in parts],
                "the parts must add up to a mean: these add up to as many means as there are parts.",
            ),
            WrongAnswer(
                "divided by the parts only",
                lambda parts: [sum(part) / len(parts) for part in parts],
                "divide by the number of learnt tokens, not by the number of micro-batches.",
            ),
            WrongAnswer(
                "sums",
                lambda parts: [sum(part) for part in parts],
                "a sum grows with the step, and the learning rate would have to shrink with it: divide by the tokens.",
            ),
        ],
    )
)


def clip_cases(rng: random.Random) -> Iterator[Case]:
    """Gradients of some parameters, and the largest norm."""
    yield Case([[3.0, 4.0]], 1.0, note="norm 5")
    yield Case([[0.3], [0.4]], 1.0, note="norm 0.5: nothing to do")
    yield Case([[3.0], [4.0]], 2.5, note="two parameters, one norm")
    yield Case([[0.0, 0.0]], 1.0)
    for _ in range(3):
        yield Case([[round(rng.uniform(-3, 3), 2) for _ in range(rng.randrange(1, 5))] for _ in range(3)], 1.0)


def _norm(gradients) -> float:
    return math.sqrt(sum(value * value for gradient in gradients for value in gradient))


def _clip(gradients, largest, norm=_norm, always=False):
    size = norm(gradients)
    factor = largest / size if size and (always or size > largest) else 1.0
    return [[value * factor for value in gradient] for gradient in gradients]


register(
    Check(
        name="lora.clip",
        task="gradients scaled by one factor so that their common norm is at most the largest",
        cases=clip_cases,
        oracle=_clip,
        why="one odd sample must not throw away what a thousand others have taught.",
        hint="the norm is the root of the sum of the squares of all numbers of all parameters.",
        wrong=[
            WrongAnswer(
                "each parameter alone",
                lambda gradients, largest: [_clip([gradient], largest)[0] for gradient in gradients],
                "one norm over all parameters and one factor for all: the direction of the step stays.",
            ),
            WrongAnswer(
                "each number alone",
                lambda gradients, largest: [[max(-largest, min(largest, v)) for v in g] for g in gradients],
                "that clips values and turns the direction of the step; scale all numbers by one factor.",
            ),
            WrongAnswer(
                "always scaled",
                lambda gradients, largest: _clip(gradients, largest, always=True),
                "a gradient within the bound is left as it is.",
            ),
            WrongAnswer(
                "root forgotten",
                lambda gradients, largest: _clip(gradients, largest, norm=lambda g: _norm(g) ** 2),
                "the norm is the root of the sum of squares.",
            ),
        ],
    )
)


def stop_cases(rng: random.Random) -> Iterator[Case]:
    """Validation losses in order, and the patience."""
    yield Case([3.0, 2.0, 1.0], 2, note="always better: trained to the end")
    yield Case([2.0, 1.0, 1.5, 1.6, 0.5], 2, note="two evaluations without a new lowest: 0.5 is never seen")
    yield Case([2.0, 1.0, 1.5, 0.9, 1.0, 1.1], 2, note="one bad evaluation is forgiven")
    yield Case([1.0, 1.0, 1.0], 1, note="equal is not better")
    yield Case([2.0, 1.0, 1.8, 1.5, 1.3, 0.9], 3, note="falling again, but above the lowest")
    for _ in range(4):
        yield Case([round(rng.uniform(1, 2), 1) for _ in range(8)], rng.randrange(1, 4))


def _stop(losses, patience, equal=False, against="lowest", late=0, kept="best"):
    best, since = 0, 0
    for place in range(1, len(losses)):
        reference = losses[best] if against == "lowest" else losses[place - 1]
        better = losses[place] <= reference if equal else losses[place] < reference
        since = 0 if better else since + 1
        if losses[place] < losses[best]:
            best = place
        if since >= patience + late:
            return place + 1, best if kept == "best" else place
    return len(losses), best if kept == "best" else len(losses) - 1


register(
    Check(
        name="lora.early_stop",
        task="how many evaluations are made before training stops, and which of them had the lowest loss",
        cases=stop_cases,
        oracle=_stop,
        why="the parameters of the last step are those of a model that has begun to learn its samples by heart.",
        hint="count evaluations since the lowest loss so far; stop when the count reaches the patience.",
        wrong=[
            WrongAnswer(
                "compared with the one before",
                lambda losses, patience: _stop(losses, patience, against="before"),
                "a loss is better when it is below the lowest so far, not below the one before it.",
            ),
            WrongAnswer(
                "one evaluation late",
                lambda losses, patience: _stop(losses, patience, late=1),
                "stop as soon as `patience` evaluations in a row brought no new lowest.",
            ),
            WrongAnswer(
                "last instead of best",
                lambda losses, patience: _stop(losses, patience, kept="last"),
                "the second number is the evaluation with the lowest loss: its parameters are the ones to keep.",
            ),
            WrongAnswer(
                "equal counts as better",
                lambda losses, patience: _stop(losses, patience, equal=True),
                "an equal loss is no new lowest: without progress the count goes on.",
            ),
            WrongAnswer(
                "never stopped",
                lambda losses, patience: (len(losses), losses.index(min(losses))),
                "that is the best of all evaluations; training must stop when the patience is used up.",
            ),
        ],
    )
)
