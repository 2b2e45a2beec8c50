"""Checks of lab 13: percentiles, waiting that a closed loop hides, and goodput."""

import math
import random
from collections.abc import Iterator

from finqa_lab.course.checking import Case, Check, WrongAnswer, register


def _percentile(values: list[float], q: float, **wrong) -> float:
    ordered = list(values) if wrong.get("unsorted") else sorted(values)
    if wrong.get("descending"):
        ordered = ordered[::-1]
    if wrong.get("mean"):
        return sum(values) / len(values)
    if wrong.get("share_of_maximum"):
        return q / 100 * max(values)
    if wrong.get("interpolated"):
        at = q / 100 * (len(ordered) - 1)
        low, high = ordered[math.floor(at)], ordered[math.ceil(at)]
        return low + (at - math.floor(at)) * (high - low)
    if wrong.get("from_zero"):
        return ordered[min(len(ordered) - 1, math.floor(q / 100 * len(ordered)))]
    rank = math.ceil(q / 100 * len(ordered))
    if wrong.get("rounded"):
        rank = max(1, round(q / 100 * len(ordered)))
    if wrong.get("floor"):
        rank = max(1, math.floor(q / 100 * len(ordered)))
    if wrong.get("off_by_one"):
        rank = min(len(ordered), rank + 1)
    return ordered[rank - 1]


def percentile_cases(rng: random.Random) -> Iterator[Case]:
    """Values, and a percentage."""
    yield Case([3.0], 50, note="a single value")
    yield Case([4.0, 1.0, 3.0, 2.0], 50, note="half of four")
    yield Case([float(value) for value in range(20, 0, -1)], 95, note="19 of 20")
    yield Case([1.0, 1.0, 9.0], 95, note="more than two of three")
    yield Case([5.0, 2.0, 1.0, 4.0, 3.0, 6.0, 8.0, 7.0], 90, note="7.2 of eight, so the eighth")
    yield Case([5.0, 2.0, 1.0, 4.0, 3.0], 45, note="2.25 of five, so the third")
    for _ in range(4):
        yield Case([float(rng.randint(1, 99)) for _ in range(rng.randint(10, 33))], rng.choice([50, 90, 95, 99]))


register(
    Check(
        name="serving.percentile",
        task="the smallest value that q percent of all values do not exceed",
        cases=percentile_cases,
        oracle=_percentile,
        why="a mean of 0.2 s hides the one user in twenty who waits for 4.",
        hint="sort; the value at rank ceil(q / 100 * n), counted from 1.",
        wrong=[
            WrongAnswer("not sorted", lambda *a: _percentile(*a, unsorted=True), "sort the values first."),
            WrongAnswer(
                "sorted downwards",
                lambda *a: _percentile(*a, descending=True),
                "ascending: q percent of the values are at or below the result.",
            ),
            WrongAnswer("the mean", lambda *a: _percentile(*a, mean=True), "that is the mean; it knows no tail."),
            WrongAnswer(
                "share of the largest",
                lambda *a: _percentile(*a, share_of_maximum=True),
                "q percent of the values, not of the largest value.",
            ),
            WrongAnswer(
                "rounded down",
                lambda *a: _percentile(*a, floor=True),
                "with the rank rounded down, fewer than q percent may be covered: round up.",
            ),
            WrongAnswer(
                "a rank too far",
                lambda *a: _percentile(*a, off_by_one=True),
                "ranks count from 1, list positions from 0.",
            ),
            WrongAnswer(
                "a value between two",
                lambda *a: _percentile(*a, interpolated=True),
                "that lies between two values, as NumPy's default does; asked for is one of the values (nearest rank).",
            ),
            WrongAnswer(
                "q percent of the length as position",
                lambda *a: _percentile(*a, from_zero=True),
                "the value at rank r has the position r - 1, and the rank is rounded up.",
            ),
            WrongAnswer(
                "rounded to the nearest",
                lambda *a: _percentile(*a, rounded=True),
                "7.2 of eight values are more than seven: round the rank up, always.",
            ),
        ],
    )
)


def _latencies(due: list[float], service: list[float], **wrong) -> list[float]:
    free, found = 0.0, []
    if wrong.get("one_before"):
        ends = [at + seconds for at, seconds in zip(due, service)]
        return [max(0.0, end - at) + seconds for end, at, seconds in zip([0.0, *ends], due, service)]
    for at, seconds in zip(due, service):
        begin = max(at, free)
        if wrong.get("always_after"):
            begin = free
        free = begin + seconds
        if wrong.get("closed"):
            found.append(seconds)
        elif wrong.get("waiting"):
            found.append(begin - at)
        elif wrong.get("finish"):
            found.append(free)
        else:
            found.append(free - at)
    return found


def latency_cases(rng: random.Random) -> Iterator[Case]:
    """When each request is due, and how long the one server works on it."""
    yield Case([0.0, 5.0], [1.0, 1.0], note="the server is idle in between")
    yield Case([0.0, 1.0], [3.0, 1.0], note="the second comes while the first is served")
    yield Case([0.0, 1.0, 2.0, 9.0], [4.0, 1.0, 1.0, 1.0], note="a stall, and a pause")
    for _ in range(4):
        due = sorted(float(rng.randint(0, 20)) for _ in range(6))
        yield Case([due[0], *(at + 1 for at in due[1:])], [float(rng.randint(1, 5)) for _ in range(6)])


register(
    Check(
        name="serving.open_loop",
        task="latency of each request at a server that serves one at a time, counted from when it was due",
        cases=latency_cases,
        oracle=_latencies,
        why="a load generator that waits for each answer before it sends the next one slows down with the server, and "
        "reports that all is well.",
        hint="a request begins when it is due or when the server is free, whichever is later; it ends its service "
        "later; its latency counts from when it was due.",
        wrong=[
            WrongAnswer(
                "service alone",
                lambda *a: _latencies(*a, closed=True),
                "that is what a closed loop sees, or a server for everyone: the time in the queue is missing.",
            ),
            WrongAnswer(
                "the server never idles",
                lambda *a: _latencies(*a, always_after=True),
                "a request cannot begin before it is due.",
            ),
            WrongAnswer(
                "waiting alone",
                lambda *a: _latencies(*a, waiting=True),
                "that is the time in the queue; the service belongs to the latency.",
            ),
            WrongAnswer(
                "time of day",
                lambda *a: _latencies(*a, finish=True),
                "that is when it ends; subtract when it was due.",
            ),
            WrongAnswer(
                "the one before as if it had not waited",
                lambda *a: _latencies(*a, one_before=True),
                "the one before has waited, too, and ends later: carry on when the server is free.",
            ),
        ],
    )
)

Record = tuple[int, float, float]  # status, time to first token, time per output token


def _goodput(records: list[Record], seconds: float, ttft: float, tpot: float, **wrong) -> float:
    good = [
        one
        for one in records
        if (one[0] == 200 or wrong.get("errors_too"))
        and (one[1] <= ttft or wrong.get("tpot_alone"))
        and (one[2] <= tpot or wrong.get("ttft_alone"))
    ]
    if wrong.get("either"):
        good = [one for one in records if one[0] == 200 and (one[1] <= ttft or one[2] <= tpot)]
    if wrong.get("strict"):
        good = [one for one in records if one[0] == 200 and one[1] < ttft and one[2] < tpot]
    if wrong.get("all"):
        good = [one for one in records if one[0] == 200]
    if wrong.get("share"):
        return len(good) / len(records)
    if wrong.get("count"):
        return len(good)
    if wrong.get("sum_of_both"):
        good = [one for one in records if one[0] == 200 and one[1] + one[2] <= ttft + tpot]
    return len(good) / seconds


def goodput_cases(rng: random.Random) -> Iterator[Case]:
    """Requests (status, time to first token, time per output token), the duration, and the two limits."""
    yield Case([(200, 0.5, 0.1)], 2.0, 1.0, 0.2, note="one good request in two seconds")
    yield Case([(200, 0.5, 0.1), (200, 3.0, 0.1)], 2.0, 1.0, 0.2, note="the second waits too long")
    yield Case([(200, 0.5, 0.1), (200, 0.5, 0.3)], 2.0, 1.0, 0.2, note="the second is too slow")
    yield Case([(200, 0.5, 0.1), (429, 0.0, 0.0)], 2.0, 1.0, 0.2, note="the second was refused")
    yield Case([(200, 1.0, 0.2)], 4.0, 1.0, 0.2, note="exactly at the limits")
    for _ in range(3):
        records = [
            (rng.choice([200, 200, 200, 429]), rng.randint(1, 12) / 8, rng.randint(1, 6) / 16) for _ in range(20)
        ]
        yield Case(records, float(rng.choice([4, 8])), 1.0, 0.25)


register(
    Check(
        name="serving.goodput",
        task="requests a second that were served within both limits",
        cases=goodput_cases,
        oracle=_goodput,
        why="a server that is pushed past its capacity can serve more requests a second and satisfy nobody.",
        hint="count what has status 200 and keeps both limits, and divide by the seconds.",
        wrong=[
            WrongAnswer(
                "throughput",
                lambda *a: _goodput(*a, all=True),
                "that is the throughput: leave out what misses a limit.",
            ),
            WrongAnswer(
                "refused requests counted",
                lambda *a: _goodput(*a, errors_too=True),
                "a refusal is quick and serves nobody: status 200 only.",
            ),
            WrongAnswer(
                "first token alone",
                lambda *a: _goodput(*a, ttft_alone=True),
                "the text must also appear fast enough: keep the limit on the time per token.",
            ),
            WrongAnswer(
                "speed alone",
                lambda *a: _goodput(*a, tpot_alone=True),
                "the wait for the first token has a limit, too.",
            ),
            WrongAnswer(
                "one of the two limits",
                lambda *a: _goodput(*a, either=True),
                "both limits hold for the same request: and, not or.",
            ),
            WrongAnswer(
                "below the limits",
                lambda *a: _goodput(*a, strict=True),
                "a request exactly at a limit keeps it.",
            ),
            WrongAnswer(
                "a share",
                lambda *a: _goodput(*a, share=True),
                "that is the share of good requests; divide by the seconds instead.",
            ),
            WrongAnswer(
                "a number",
                lambda *a: _goodput(*a, count=True),
                "that is how many were good; a rate divides by the seconds of the run.",
            ),
            WrongAnswer(
                "one limit for the sum",
                lambda *a: _goodput(*a, sum_of_both=True),
                "a quick first token does not make up for slow text: compare each time with its own limit.",
            ),
        ],
    )
)
