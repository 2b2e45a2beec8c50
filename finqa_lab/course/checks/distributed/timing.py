"""Checks of lab 08: the constants of a cost model, and tokens a second with and without overlap."""

import random
from collections.abc import Iterator

import numpy as np

from finqa_lab.course.checking import Case, Check, WrongAnswer, register


def fit_cases(rng: random.Random) -> Iterator[Case]:
    """Tokens of a rank, bytes that it sends, and seconds, of several kinds of step."""
    yield Case([100.0, 200.0], [1e6, 1e6], [0.2, 0.3], note="two steps, two unknowns: 1 ms a token, 0.1 s a megabyte")
    yield Case([100.0, 100.0, 400.0], [1e6, 8e6, 8e6], [0.15, 0.30, 1.4], note="three steps, none is met exactly")
    for _ in range(4):
        tokens = [float(rng.randrange(50, 900)) for _ in range(5)]
        sent = [rng.randrange(1, 40) * 1e6 for _ in range(5)]
        a, b = rng.uniform(1e-4, 1e-3), rng.uniform(1e-9, 2e-8)
        yield Case(tokens, sent, [(a * t + b * s) * rng.uniform(0.8, 1.25) for t, s in zip(tokens, sent)])


def _fit(tokens, sent, seconds, power=1.0, intercept=False, keep=None, which=(0, 1)):
    columns = np.array([tokens, sent] + [np.ones(len(tokens))] * intercept, dtype=float).T[:keep]
    seconds = np.array(seconds, dtype=float)[:keep]
    rows, target = columns / seconds[:, None] ** power, seconds ** (1 - power)
    scale = rows.max(axis=0)
    solution = np.linalg.lstsq(rows / scale, target, rcond=None)[0] / scale
    return tuple(solution[list(which)].tolist())


def _one_by_one(tokens, sent, seconds):
    return tuple(float(np.mean(np.array(seconds) / np.array(one))) for one in (tokens, sent))


def _close(expected, got) -> bool:
    return len(got) == 2 and all(abs(g - e) <= 1e-4 * abs(e) + 1e-15 for e, g in zip(expected, got))


register(
    Check(
        name="distributed.fit_cost",
        task="seconds a token and seconds a byte with the least sum of squared relative errors",
        cases=fit_cases,
        oracle=_fit,
        same=_close,
        why="two constants from short steps say how long a step takes that nobody has run yet.",
        hint="(a t + b s) / y is to be near 1 for every step: divide tokens and bytes by the seconds, and solve the "
        "rows for a right side of ones with np.linalg.lstsq.",
        wrong=[
            WrongAnswer(
                "absolute errors",
                lambda tokens, sent, seconds: _fit(tokens, sent, seconds, power=0.0),
                "that lets the longest step decide everything: divide every row by its seconds, so that errors are "
                "shares.",
            ),
            WrongAnswer(
                "a constant besides",
                lambda tokens, sent, seconds: _fit(tokens, sent, seconds, intercept=True),
                "there are two constants, a and b: no column of ones beside them.",
            ),
            WrongAnswer(
                "first two steps only",
                lambda tokens, sent, seconds: _fit(tokens, sent, seconds, keep=2),
                "two steps can be met exactly, noise included: use all of them.",
            ),
            WrongAnswer(
                "exchanged",
                lambda tokens, sent, seconds: _fit(tokens, sent, seconds, which=(1, 0)),
                "the seconds a token come first, then the seconds a byte.",
            ),
            WrongAnswer(
                "bytes a second",
                lambda tokens, sent, seconds: (
                    _fit(tokens, sent, seconds)[0],
                    1 / _fit(tokens, sent, seconds)[1],
                ),
                "that is the bandwidth; its reciprocal, seconds a byte, is asked for.",
            ),
            WrongAnswer(
                "each alone",
                _one_by_one,
                "this charges all of the time to the tokens, and again to the bytes: solve for both together.",
            ),
        ],
    )
)


def speed_cases(rng: random.Random) -> Iterator[Case]:
    """Tokens of a rank, ranks, bytes that a rank sends, seconds a token, seconds a byte."""
    yield Case(100, 1, 0, 0.01, 1e-9, note="one rank")
    yield Case(100, 2, 1_000_000, 0.01, 1e-7, note="computing takes 1 s, sending 0.1 s")
    yield Case(100, 4, 40_000_000, 0.01, 1e-7, note="sending takes longer than computing")
    for _ in range(4):
        yield Case(
            rng.randrange(50, 500),
            rng.randrange(2, 9),
            rng.randrange(1, 60) * 10**6,
            rng.uniform(1e-3, 9e-3),
            rng.uniform(1e-9, 9e-8),
        )


def _speed(tokens, ranks, sent, work_seconds, byte_seconds, longer=max, all_ranks=True, swap=False):
    compute, link = tokens * work_seconds, sent * byte_seconds
    total = tokens * (ranks if all_ranks else 1)
    found = total / (compute + link), total / longer(compute, link)
    return found[::-1] if swap else found


register(
    Check(
        name="distributed.tokens_a_second",
        task="tokens a second of all ranks, with nothing and with everything overlapped",
        cases=speed_cases,
        oracle=_speed,
        why="real frameworks hide a part of the traffic: the truth lies between the two, and a plan should name both.",
        hint="all ranks compute at the same time, so a step takes a rank's seconds: the sum of computing and sending, "
        "or the longer of the two; its tokens are those of all ranks.",
        wrong=[
            WrongAnswer(
                "of one rank",
                lambda *case: _speed(*case, all_ranks=False),
                "that is the speed of one rank: every rank has as many tokens, so multiply by their number.",
            ),
            WrongAnswer(
                "sending is free",
                lambda *case: _speed(*case, longer=lambda compute, link: compute),
                "when sending takes longer than computing, it cannot be hidden: the longer of the two decides.",
            ),
            WrongAnswer(
                "exchanged",
                lambda *case: _speed(*case, swap=True),
                "the slow end first: nothing overlapped, the two times added up.",
            ),
            WrongAnswer(
                "work divided again",
                lambda tokens, ranks, sent, a, b: _speed(tokens / ranks, ranks, sent, a, b),
                "the tokens are those of one rank already: do not divide them by the ranks.",
            ),
            WrongAnswer(
                "no overlap at both ends",
                lambda *case: (_speed(*case)[0],) * 2,
                "with everything overlapped, the step takes the longer of the two times, not their sum.",
            ),
        ],
    )
)
