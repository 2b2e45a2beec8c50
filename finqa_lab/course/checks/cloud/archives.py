"""Checks of lab 14: which members of an archive are refused, and what a reply of the container is."""

import json
import math
import posixpath
import random
from collections.abc import Callable, Iterator

from finqa_lab.cloud.errors import CloudError, InvokeTimeout, MalformedRequest, ModelFailed, StructureError
from finqa_lab.course.checking import Case, Check, WrongAnswer, register

Member = tuple[str, str, str]  # name, kind (file, folder, link, device), where a link points
Reply = tuple[int, bytes]  # status and body


def _outside(path: str) -> bool:
    return path.startswith("/") or posixpath.normpath(path).split("/")[0] == ".."


def _refused(members: list[Member], **wrong) -> list[str]:
    found = []
    for name, kind, target in members:
        steps = ".." in name.split("/")
        if wrong.get("begins_only"):
            steps = name.startswith("..")
        if wrong.get("normalised"):
            steps = _outside(name)
        if wrong.get("any_dots"):
            steps = ".." in name
        bad = steps or (name.startswith("/") and not wrong.get("absolute_kept"))
        bad |= kind == "device" and not wrong.get("devices_kept")
        if kind == "link":
            from_folder = posixpath.join(posixpath.dirname(name), target)
            leaves = _outside(from_folder)
            if wrong.get("from_root"):
                leaves = _outside(target)
            if wrong.get("absolute_targets_only"):
                leaves = target.startswith("/")
            bad |= (leaves and not wrong.get("links_kept")) or bool(wrong.get("all_links"))
        if bad:
            found.append(name)
    return found


def member_cases(rng: random.Random) -> Iterator[Case]:
    """Members of an archive: name, kind, and for a link where it points."""
    yield Case([("config.json", "file", "")], note="a sound archive")
    yield Case([("/etc/cron.d/x", "file", "")], note="an absolute name")
    yield Case([("../x", "file", "")], note="out of the folder")
    yield Case([("code/../../x", "file", "")], note="out of it on a longer way")
    yield Case([("code/../x", "file", "")], note="down and up again")
    yield Case([("notes..txt", "file", "")], note="two dots that are part of a name")
    yield Case([("code/null", "device", "")], note="a device")
    yield Case([("code/a", "link", "/etc/passwd")], note="a link to an absolute path")
    yield Case([("code/a", "link", "../config.json")], note="a link that stays inside")
    yield Case([("a", "link", "../config.json")], note="the same target, one folder higher")
    yield Case([("a", "link", "code/inference.py"), ("code", "folder", "")])
    names = ["config.json", "code/inference.py", "/x", "code/../../y", "v..2/z", "code/deep/w", "../q"]
    targets = ["b", "../b", "../../b", "/b"]
    for _ in range(5):
        members = []
        for name in rng.sample(names, 4):
            kind = rng.choice(["file", "file", "folder", "link", "device"])
            members.append((name, kind, rng.choice(targets) if kind == "link" else ""))
        yield Case(members)


register(
    Check(
        name="cloud.refused_members",
        task="the members of an archive that must not be unpacked",
        cases=member_cases,
        oracle=_refused,
        why="an archive that is unpacked blindly writes where its maker wants: a start-up script, a key.",
        hint="refuse absolute names, names with a part '..', devices, and links whose target, seen from the link's own "
        "folder, lies outside.",
        wrong=[
            WrongAnswer(
                "'..' at the beginning only",
                lambda members: _refused(members, begins_only=True),
                "a name can go down first and up twice: look at every part of it, name.split('/').",
            ),
            WrongAnswer(
                "names normalised first",
                lambda members: _refused(members, normalised=True),
                "code/../x ends up inside only while code is a folder; were it a link, .. would lead elsewhere: refuse "
                "every part '..'.",
            ),
            WrongAnswer(
                "'..' anywhere in the text",
                lambda members: _refused(members, any_dots=True),
                "notes..txt is a plain name: compare whole parts with '..', not pieces of text.",
            ),
            WrongAnswer(
                "absolute names kept",
                lambda members: _refused(members, absolute_kept=True),
                "a name that begins with / is not below the folder at all.",
            ),
            WrongAnswer(
                "devices kept",
                lambda members: _refused(members, devices_kept=True),
                "a device, a pipe or a socket has no business in an archive of weights, whatever its name.",
            ),
            WrongAnswer(
                "links kept",
                lambda members: _refused(members, links_kept=True),
                "a link out of the folder makes the next member of that name a file elsewhere: look at its target.",
            ),
            WrongAnswer(
                "only absolute targets",
                lambda members: _refused(members, absolute_targets_only=True),
                "a relative target leaves the folder, too, when it goes up often enough.",
            ),
            WrongAnswer(
                "targets seen from the root",
                lambda members: _refused(members, from_root=True),
                "a link's target is read from the folder that the link lies in: code/a -> ../b is b.",
            ),
            WrongAnswer(
                "all links refused",
                lambda members: _refused(members, all_links=True),
                "stricter than asked for: here a link that stays inside is kept. (The course's own `unpack` refuses "
                "all of them, because its archives have none.)",
            ),
        ],
    )
)


def _number(body: bytes, **wrong) -> float:
    try:
        values = json.loads(body)
        answer = values["answer"]
    except (ValueError, KeyError, TypeError):
        if wrong.get("last_number"):
            words = [word.strip('."{}:,') for word in body.decode().split()]
            numbers = [word for word in words if word.replace(".", "", 1).isdigit()]
            if numbers:
                return float(numbers[-1])
        raise StructureError("no answer") from None
    if wrong.get("falsy") and not answer:
        raise StructureError("no answer")
    if wrong.get("text") and isinstance(answer, str) and answer.replace(".", "", 1).isdigit():
        return float(answer)
    if isinstance(answer, bool) and not wrong.get("booleans"):
        raise StructureError("true and false are no numbers")
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
                "text is a number",
                lambda send: _ask(send, text=True),
                "a number in quotes is text; whoever wrote it broke the promise, and who reads it should say so.",
            ),
        ],
    )
)
