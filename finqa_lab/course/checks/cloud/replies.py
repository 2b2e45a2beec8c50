"""Check of lab 14: what a reply of the container is."""

import json
import math
import random
from collections.abc import Callable, Iterator

from finqa_lab.cloud.errors import CloudError, InvokeTimeout, MalformedRequest, ModelFailed, StructureError
from finqa_lab.course.checking import Case, Check, WrongAnswer, register

Reply = tuple[int, bytes]  # status and body


def _number(body: bytes, **wrong) -> float:
    try:
        answer = json.loads(body)["answer"]
    except (ValueError, KeyError, TypeError):
        if wrong.get("last_number"):
            words = [word.strip('."{}:,') for word in body.decode().split()]
            numbers = [word for word in words if word.replace(".", "", 1).isdigit()]
            if numbers:
                return float(numbers[-1])
        if wrong.get("parser"):
            raise
        raise StructureError("no answer") from None
    if wrong.get("anything"):
        try:
            return float(answer)
        except (ValueError, TypeError):
            raise StructureError("no number") from None
    if wrong.get("floats_only") and not isinstance(answer, float):
        raise StructureError("no number")
    if wrong.get("falsy") and not answer:
        raise StructureError("no answer")
    if wrong.get("text") and isinstance(answer, str) and answer.replace(".", "", 1).isdigit():
        return float(answer)
    if isinstance(answer, bool) and not wrong.get("booleans"):
        raise StructureError("true and false are no numbers")
    if wrong.get("infinity") and answer in (math.inf, -math.inf):
        return answer
    if not isinstance(answer, int | float) or not (math.isfinite(answer) or wrong.get("nan")):
        raise StructureError("no number")
    return float(answer)


def _ask(send: Callable[[], Reply], **wrong) -> float:
    for attempt in range(3):
        try:
            status, body = send()
            kinds = {400: MalformedRequest, 422: StructureError, 504: InvokeTimeout}
            if status != 200 and not wrong.get("status_ignored"):
                raise (ModelFailed if wrong.get("one_error") else kinds.get(status, ModelFailed))("refused")
            return _number(body, **wrong)
        except CloudError as error:
            again = (wrong.get("again") and isinstance(error, StructureError)) or (
                wrong.get("again_late") and isinstance(error, InvokeTimeout)
            )
            if not again or attempt == 2:
                raise
    raise AssertionError


def _played(ask: Callable, replies: list[Reply]) -> tuple[float | str, int]:
    """Number or name of the error, and how often it was asked; behind the last reply it is given again."""
    sent = []

    def send() -> Reply:
        sent.append(replies[min(len(sent), len(replies) - 1)])
        return sent[-1]

    try:
        result = ask(send)
    except CloudError as error:
        result = type(error).__name__
    return result, len(sent)


def reply_cases(rng: random.Random) -> Iterator[Case]:
    """What the container replies to the first call, the second, and so on; the last one for all further calls."""
    yield Case([(200, b'{"answer": 0.25}')], note="a number")
    yield Case([(200, b'{"answer": 0}')], note="zero is a number")
    yield Case([(400, b'{"error": {"type": "malformed"}}')], note="the request is wrong")
    yield Case([(422, b'{"error": {"type": "structure"}}')], note="the model wrote no answer")
    yield Case([(504, b"")], note="the container did not answer in time")
    yield Case([(500, b'{"answer": 3}')], note="an error, whatever its body says")
    yield Case([(200, b"the margin is 0.31")], note="no JSON")
    yield Case([(200, b'{"text": "12"}')], note="another field")
    yield Case([(200, b'{"answer": true}')], note="no number")
    yield Case([(200, b'{"answer": "0.4"}')], note="text is promised to nobody")
    yield Case([(200, b'{"answer": NaN}')], note="Python's parser takes NaN")
    yield Case([(200, b'{"answer": -Infinity}')], note="and infinity, which equals itself")
    yield Case([(200, b"[1, 2]")], note="JSON, and no object")
    for _ in range(3):
        yield Case([(200, b'{"answer": %d}' % rng.randint(2, 99))])


register(
    Check(
        name="cloud.read_reply",
        task="the number in the container's reply, or the error that it is; asked once",
        cases=reply_cases,
        oracle=lambda replies: _played(_ask, replies),
        call=_played,
        why="a caller reacts differently to its own mistake, to a slow model and to a model without an answer.",
        hint="one call; by status: 400 MalformedRequest, 422 StructureError, 504 InvokeTimeout, else ModelFailed; "
        "with 200 an object with a finite number under 'answer', or StructureError.",
        wrong=[
            WrongAnswer(
                "asked again for an answer",
                lambda send: _ask(send, again=True),
                "decoding is deterministic: the second reply is the first, at the price of another call.",
            ),
            WrongAnswer(
                "asked again after a time-out",
                lambda send: _ask(send, again_late=True),
                "the first request may still be running; a second makes the container slower for all.",
            ),
            WrongAnswer(
                "the status is not looked at",
                lambda send: _ask(send, status_ignored=True),
                "an error has a body as well; look at the status first.",
            ),
            WrongAnswer(
                "one error for all",
                lambda send: _ask(send, one_error=True),
                "400 is the caller's mistake, 422 the model's, 504 the clock's: raise the type that says so.",
            ),
            WrongAnswer(
                "the last number of the text",
                lambda send: _ask(send, last_number=True),
                "JSON was promised; a number fished out of prose may be a year or a step of the reasoning.",
            ),
            WrongAnswer(
                "zero is no answer",
                lambda send: _ask(send, falsy=True),
                "0 is a number and false in Python: ask whether the field is there, not whether it is true.",
            ),
            WrongAnswer(
                "true is one",
                lambda send: _ask(send, booleans=True),
                "bool is a kind of int in Python: exclude it.",
            ),
            WrongAnswer(
                "NaN is a number",
                lambda send: _ask(send, nan=True),
                "json.loads takes NaN and Infinity, which are no numbers of JSON: test math.isfinite.",
            ),
            WrongAnswer(
                "infinity is a number",
                lambda send: _ask(send, infinity=True),
                "a test for NaN alone lets infinity through: math.isfinite finds both.",
            ),
            WrongAnswer(
                "whatever float() takes",
                lambda send: _ask(send, anything=True),
                "float() makes numbers of true, of text and of NaN: look at the type of the field before you convert.",
            ),
            WrongAnswer(
                "floats alone",
                lambda send: _ask(send, floats_only=True),
                '{"answer": 12} is a number, and Python reads it as an int: take int and float.',
            ),
            WrongAnswer(
                "errors of the parser come through",
                lambda send: _ask(send, parser=True),
                "the caller waits for the course's errors: catch what json.loads and the look-up raise (ValueError, "
                "KeyError, TypeError) and raise StructureError.",
            ),
            WrongAnswer(
                "text is a number",
                lambda send: _ask(send, text=True),
                "a number in quotes is text; whoever wrote it broke the promise, and who reads it should say so.",
            ),
        ],
    )
)
