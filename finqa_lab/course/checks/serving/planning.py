"""Checks of lab 13: the time of a step, the speed of a batch, and how long a queue may be."""

import math
import random
from collections.abc import Iterator

from finqa_lab.course.checking import Case, Check, WrongAnswer, register


def _rate(batch: int, weights: float, cache: float, bandwidth: float, flops: float, rate: float, **wrong) -> float:
    moved = weights + batch * cache
    if wrong.get("weights_each"):
        moved = batch * (weights + cache)
    if wrong.get("no_cache"):
        moved = weights
    if wrong.get("cache_once"):
        moved = weights + cache
    work = flops if wrong.get("one_row") else batch * flops
    seconds = max(moved / bandwidth, work / rate)
    if wrong.get("sum"):
        seconds = moved / bandwidth + work / rate
    if wrong.get("memory_only"):
        seconds = moved / bandwidth
    if wrong.get("faster"):
        seconds = min(moved / bandwidth, work / rate)
    if wrong.get("step"):
        return seconds
    return (1 if wrong.get("steps_a_second") else batch) / seconds


def rate_cases(rng: random.Random) -> Iterator[Case]:
    """Sequences, bytes of weights and of a sequence's cache, bytes a second, operations a token and a second."""
    yield Case(1, 8.0, 0.0, 2.0, 1.0, 4.0, note="one sequence: 8 bytes at 2 bytes a second")
    yield Case(4, 8.0, 0.0, 2.0, 1.0, 4.0, note="four sequences share the weights")
    yield Case(4, 8.0, 2.0, 2.0, 1.0, 4.0, note="each has a cache of its own")
    yield Case(64, 8.0, 0.0, 2.0, 1.0, 4.0, note="arithmetic is the bound")
    yield Case(2, 1.0, 0.0, 2.0, 8.0, 1.0, note="arithmetic is the bound from the first sequence on")
    for _ in range(4):
        yield Case(
            rng.choice([1, 2, 8, 32]), float(rng.randint(4, 64)), float(rng.randint(0, 4)),
            float(rng.randint(1, 4)), float(rng.randint(1, 4)), float(rng.randint(2, 16)),
        )  # fmt: skip


register(
    Check(
        name="serving.tokens_per_second",
        task="tokens a second of a decoding batch on an ideal machine",
        cases=rate_cases,
        oracle=_rate,
        why="it says before any purchase how many sequences a machine should serve at a time.",
        hint="a step reads the weights once and the cache of every sequence, computes for every sequence, and takes as "
        "long as the slower of the two; it gives one token to each.",
        wrong=[
            WrongAnswer(
                "weights read for each",
                lambda *a: _rate(*a, weights_each=True),
                "the weights are read once a step, whatever the batch: that is why batching pays.",
            ),
            WrongAnswer(
                "caches free",
                lambda *a: _rate(*a, no_cache=True),
                "every sequence's keys and values are read as well.",
            ),
            WrongAnswer(
                "one cache for all",
                lambda *a: _rate(*a, cache_once=True),
                "each sequence has a cache of its own: batch times its bytes.",
            ),
            WrongAnswer(
                "arithmetic of one sequence",
                lambda *a: _rate(*a, one_row=True),
                "operations grow with the batch, only the weights' bytes do not.",
            ),
            WrongAnswer(
                "one behind the other",
                lambda *a: _rate(*a, sum=True),
                "memory and arithmetic work at the same time: take the larger of the two times.",
            ),
            WrongAnswer(
                "memory alone",
                lambda *a: _rate(*a, memory_only=True),
                "past some batch arithmetic is slower than memory: take the larger of the two times.",
            ),
            WrongAnswer(
                "the faster of the two",
                lambda *a: _rate(*a, faster=True),
                "the step ends when both are done: the slower one decides, so max of the times.",
            ),
            WrongAnswer(
                "seconds a step",
                lambda *a: _rate(*a, step=True),
                "that is the time of a step; it gives batch tokens.",
            ),
            WrongAnswer(
                "steps a second",
                lambda *a: _rate(*a, steps_a_second=True),
                "every sequence of the batch gets a token in each step.",
            ),
        ],
    )
)


def _queue(batch: int, seconds: float, limit: float, **wrong) -> int:
    served = batch / seconds
    if wrong.get("one_at_a_time"):
        served = 1 / seconds
    if wrong.get("ignores_seconds"):
        served = batch
    room = served * limit
    if wrong.get("plus_batch"):
        room += batch
    if wrong.get("rounded_up"):
        return math.ceil(room)
    if wrong.get("inverse"):
        return math.floor(limit * seconds * batch)
    if wrong.get("fraction"):
        return room
    if wrong.get("rounded"):
        return round(room)
    if wrong.get("less_batch"):
        return max(0, math.floor(room) - batch)
    if wrong.get("whole_rounds"):
        return batch * math.floor(limit / seconds)
    return math.floor(room + 1e-9)


def queue_cases(rng: random.Random) -> Iterator[Case]:
    """Sequences at a time, seconds of service of each, and the longest wait allowed."""
    yield Case(1, 2.0, 4.0, note="one at a time, 2 s each, 4 s of patience")
    yield Case(8, 2.0, 4.0, note="eight at a time")
    yield Case(4, 3.0, 2.0, note="not a whole number")
    yield Case(4, 8.0, 1.0, note="nobody may wait")
    for _ in range(4):
        # Times whose quotients are exact in binary, so that the order of the operations cannot change the result.
        yield Case(rng.randint(2, 16), rng.choice([0.5, 1.0, 2.0, 4.0]), rng.randint(2, 24) / 4)


register(
    Check(
        name="serving.queue_bound",
        task="longest queue whose last request still begins within the limit",
        cases=queue_cases,
        oracle=_queue,
        why="under overload an unbounded queue makes everyone wait for ever; a bounded one serves as many and turns "
        "the rest away at once.",
        hint="batch / seconds requests leave a second; as many as leave within the limit may wait, rounded down.",
        wrong=[
            WrongAnswer(
                "one at a time",
                lambda *a: _queue(*a, one_at_a_time=True),
                "batch requests are served side by side: batch / seconds leave a second.",
            ),
            WrongAnswer(
                "service time forgotten",
                lambda *a: _queue(*a, ignores_seconds=True),
                "batch requests leave in `seconds`, not in one second.",
            ),
            WrongAnswer(
                "those in service counted",
                lambda *a: _queue(*a, plus_batch=True),
                "those that are served do not stand in the queue.",
            ),
            WrongAnswer(
                "rounded up",
                lambda *a: _queue(*a, rounded_up=True),
                "the last one would begin too late: round down.",
            ),
            WrongAnswer(
                "multiplied by the time",
                lambda *a: _queue(*a, inverse=True),
                "slower service means a shorter queue: divide by the seconds.",
            ),
            WrongAnswer(
                "a part of a request",
                lambda *a: _queue(*a, fraction=True),
                "two requests and a half cannot wait: round down to a whole number.",
            ),
            WrongAnswer(
                "rounded to the nearest",
                lambda *a: _queue(*a, rounded=True),
                "rounded up, the last one would begin after the limit; always round down.",
            ),
            WrongAnswer(
                "finished within the limit",
                lambda *a: _queue(*a, less_batch=True),
                "the last one must begin within the limit, it need not end within it.",
            ),
            WrongAnswer(
                "whole rounds",
                lambda *a: _queue(*a, whole_rounds=True),
                "the batch is continuous: its places become free one by one, batch / seconds of them a second.",
            ),
        ],
    )
)
