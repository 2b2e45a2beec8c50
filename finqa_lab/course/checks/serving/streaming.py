"""Checks of lab 13: events out of a byte stream, and the two times that a reader of the stream feels."""

import json
import random
from collections.abc import Iterator

from finqa_lab.course.checking import Case, Check, WrongAnswer, register


def _lines(text: str) -> list[str]:
    return [line.removeprefix("data: ") for line in text.split("\n") if line.startswith("data: ")]


def _texts(chunks: list[bytes], **wrong) -> list[str]:
    if wrong.get("by_chunk"):
        lines = [line for chunk in chunks for line in _lines(chunk.decode(errors="replace"))]
    elif wrong.get("decoded_by_chunk"):
        lines = _lines("".join(chunk.decode(errors="replace") for chunk in chunks))
    else:
        whole = b"".join(chunks)
        ended = len(whole) if wrong.get("unfinished") else whole.rfind(b"\n") + 1
        lines = _lines(whole[:ended].decode())
    found = []
    for line in lines:
        if line == "[DONE]":
            if wrong.get("done_kept"):
                found.append(line)
            continue
        try:
            delta = json.loads(line)["choices"][0]["delta"]
        except ValueError:
            if wrong.get("unfinished"):
                raise
            continue  # half a line; only the wrong answers get here
        if wrong.get("raw"):
            found.append(line)
            continue
        text = delta.get("content", "")
        if text or wrong.get("empty_kept") or (wrong.get("key_is_enough") and "content" in delta):
            found.append(text)
    return ["".join(found)] if wrong.get("joined") else found


def _stream(words: list[str], **first) -> bytes:
    deltas = [{"role": "assistant", **first}, *({"content": word} for word in words), {}]
    events = [json.dumps({"choices": [{"delta": delta}]}, ensure_ascii=False) for delta in deltas] + ["[DONE]"]
    return "".join(f"data: {event}\n\n" for event in events).encode()


def _cut(data: bytes, places: list[int]) -> list[bytes]:
    ends = [0, *sorted(places), len(data)]
    return [data[begin:end] for begin, end in zip(ends, ends[1:]) if end > begin]


def stream_cases(rng: random.Random) -> Iterator[Case]:
    """Chunks of bytes as a socket delivers them."""
    plain = _stream(["12", ".5"])
    yield Case([plain], note="all in one chunk")
    yield Case(_cut(plain, [60]), note="a chunk ends inside an event")
    yield Case([_stream(["12", ".5"], content="")], note="the text of the first event is empty")
    yield Case(_cut(plain[:-60], [60])[:2], note="the stream has not ended, and its last line is half there")
    euro = _stream(["€", " 5"])
    yield Case(_cut(euro, [euro.index("€".encode()) + 1]), note="a chunk ends inside a character")
    for _ in range(4):
        data = _stream([rng.choice(["add(", "1", ", ", "€", "#0", ")"]) for _ in range(rng.randint(2, 6))])
        yield Case(_cut(data, rng.sample(range(1, len(data)), rng.randint(2, 9))))


register(
    Check(
        name="serving.stream_texts",
        task="the texts of a stream of server-sent events",
        cases=stream_cases,
        oracle=_texts,
        why="chunks are cut where the network likes; on a fast machine every test passes and in production one token "
        "in a thousand is lost.",
        hint="put the bytes together before you cut lines, and decode whole lines only, those with a line end behind "
        "them; events without content, and [DONE], give no text.",
        wrong=[
            WrongAnswer(
                "each chunk by itself",
                lambda chunks: _texts(chunks, by_chunk=True),
                "an event may begin in one chunk and end in the next: keep what is left behind the last line end.",
            ),
            WrongAnswer(
                "bytes decoded by chunk",
                lambda chunks: _texts(chunks, decoded_by_chunk=True),
                "a character of several bytes may be cut in two: decode whole lines, not chunks.",
            ),
            WrongAnswer(
                "[DONE] as text",
                lambda chunks: _texts(chunks, done_kept=True),
                "[DONE] is the end of the stream and no JSON.",
            ),
            WrongAnswer(
                "events without content",
                lambda chunks: _texts(chunks, empty_kept=True),
                "the first event has the role and the last one the reason of the end: they have no content.",
            ),
            WrongAnswer(
                "empty texts",
                lambda chunks: _texts(chunks, key_is_enough=True),
                "a server may send an empty content with the role: that is no token, and its time is not the first's.",
            ),
            WrongAnswer(
                "the unfinished line, too",
                lambda chunks: _texts(chunks, unfinished=True),
                "a line without a line end behind it is not complete yet, and half a JSON is none: leave it out.",
            ),
            WrongAnswer(
                "the JSON itself",
                lambda chunks: _texts(chunks, raw=True),
                "the text is at choices[0].delta.content of each event.",
            ),
            WrongAnswer(
                "one string",
                lambda chunks: _texts(chunks, joined=True),
                "return a list with the text of each event: the times between them are what comes next.",
            ),
        ],
    )
)


def _times(sent: float, arrivals: list[float], **wrong) -> tuple[float, float]:
    first = arrivals[0] - sent
    gaps = len(arrivals) - 1
    rest = (arrivals[-1] - arrivals[0]) / gaps if gaps else 0.0
    if wrong.get("by_tokens"):
        rest = (arrivals[-1] - arrivals[0]) / len(arrivals)
    if wrong.get("from_sent"):
        rest = (arrivals[-1] - sent) / len(arrivals)
    if wrong.get("absolute"):
        first = arrivals[0]
    if wrong.get("last"):
        first = arrivals[-1] - sent
    if wrong.get("last_gap") and gaps:
        rest = arrivals[-1] - arrivals[-2]
    if wrong.get("rate") and gaps:
        rest = 1 / rest
    if wrong.get("sent_to_last") and gaps:
        rest = (arrivals[-1] - sent) / gaps
    if wrong.get("one_divides") and not gaps:
        raise ZeroDivisionError
    return (rest, first) if wrong.get("swapped") else (first, rest)


def times_cases(rng: random.Random) -> Iterator[Case]:
    """When a request was sent, and when each of its tokens came, in seconds."""
    yield Case(0.0, [0.5, 0.75, 1.0], note="sent at 0")
    yield Case(10.0, [10.5], note="a single token has no gap")
    yield Case(10.0, [10.25, 10.5, 10.5, 11.0], note="two tokens in one packet")
    for _ in range(3):
        sent = float(rng.randint(1, 50))
        arrivals = [sent + rng.randint(1, 9) / 8]
        for _ in range(rng.randint(3, 8)):
            arrivals.append(arrivals[-1] + rng.randint(0, 5) / 16)
        yield Case(sent, [*arrivals, arrivals[-1] + 0.5])


register(
    Check(
        name="serving.ttft_tpot",
        task="time to the first token, and mean time from each token to the next",
        cases=times_cases,
        oracle=_times,
        why="the first is the wait that a reader feels, the second the speed at which the text appears; one number "
        "for both hides which part of the server is slow.",
        hint="the first arrival minus the sending; then (last - first) / (number of tokens - 1), 0 for one token.",
        wrong=[
            WrongAnswer(
                "divided by the tokens",
                lambda *a: _times(*a, by_tokens=True),
                "n tokens have n - 1 gaps between them.",
            ),
            WrongAnswer(
                "the first token included",
                lambda *a: _times(*a, from_sent=True),
                "the wait for the first token is the other number: begin at the first arrival.",
            ),
            WrongAnswer(
                "time of day",
                lambda *a: _times(*a, absolute=True),
                "the time to the first token counts from the sending of the request.",
            ),
            WrongAnswer(
                "time to the last token",
                lambda *a: _times(*a, last=True),
                "that is the whole latency; the first token came earlier.",
            ),
            WrongAnswer(
                "the last gap",
                lambda *a: _times(*a, last_gap=True),
                "take the mean over all gaps.",
            ),
            WrongAnswer(
                "tokens a second",
                lambda *a: _times(*a, rate=True),
                "that is the rate; seconds a token are asked for.",
            ),
            WrongAnswer(
                "from the sending to the last",
                lambda *a: _times(*a, sent_to_last=True),
                "the wait for the first token is no gap between tokens: subtract the first arrival, not the sending.",
            ),
            WrongAnswer(
                "a single token",
                lambda *a: _times(*a, one_divides=True),
                "a single token has no gap, and nothing can be divided by 0: the second value is 0 then.",
            ),
            WrongAnswer(
                "the other way round",
                lambda *a: _times(*a, swapped=True),
                "the time to the first token comes first in the pair.",
            ),
        ],
    )
)
