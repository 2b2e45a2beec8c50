"""Many questions put to an endpoint: some at a time, every reply written down at once, taken up again where it stopped.

The log is JSON Lines: one object a reply, appended and flushed when it arrives. A later run reads it and asks only what
has no reply yet. A reply belongs to a record id and to the hash of the whole request, so that another prompt, model or
setting is asked anew and stands in the same log beside the old one. Failed requests are written down too and asked
again. The API key is no part of a line.
"""

import json
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path

from finqa_lab.errors import CourseError
from finqa_lab.files import parse_json
from finqa_lab.finqa.endpoint import Completion, Endpoint, complete
from finqa_lab.finqa.replies import Reply, parse_reply

_BEGINNING = '{"id": "'
"""Of every line; a text that begins in another way is not a log and is not written to."""

Messages = Sequence[Mapping[str, str]]


@dataclass(frozen=True)
class Answered:
    """One question and what came of it.

    Attributes:
        id: of the record.
        prompt_sha256: hash of the request.
        completion: what the endpoint sent, or why it did not.
        reply: the text, read.
        resumed: taken from the log.
    """

    id: str
    prompt_sha256: str
    completion: Completion
    reply: Reply
    resumed: bool


def ask_all(
    endpoint: Endpoint,
    prompts: Mapping[str, Messages],
    log: str | os.PathLike,
    workers: int = 4,
    on_answer: Callable[[Answered], None] = lambda answered: None,
) -> list[Answered]:
    """Ask every question that the log has no reply to.

    Args:
        endpoint: where and how.
        prompts: record id to messages, as of :func:`finqa_lab.finqa.prompts.messages`.
        log: file to read and append to; made when missing.
        workers: requests at a time.
        on_answer: called for every answer as it comes, from this thread.

    Returns:
        One for each prompt, in their order.

    Raises:
        CourseError: when the log cannot be read or written, or key, model or address are wrong. What was answered
            until then is in the log.
    """
    if workers < 1:
        raise CourseError(f"{workers} workers cannot ask; give at least 1")
    log = Path(log)
    wanted = {(name, endpoint.prompt_hash(messages)): messages for name, messages in prompts.items()}
    known = {key: done for key, done in read_log(log).items() if key in wanted}
    found = {key: _answered(key, done, resumed=True) for key, done in known.items()}
    for answered in found.values():
        on_answer(answered)
    writer = _Log(log)
    stop = threading.Event()

    def pause(seconds: float) -> None:
        if stop.wait(seconds):
            raise CancelledError

    def work(key: tuple[str, str]) -> Answered:
        completion = complete(endpoint, wanted[key], sleep=pause)
        writer.append(key, endpoint.body(wanted[key]), completion)
        return _answered(key, completion, resumed=False)

    with ThreadPoolExecutor(workers) as pool:
        waiting = {pool.submit(work, key): key for key in wanted if key not in found}
        try:
            for future in as_completed(waiting):
                found[waiting[future]] = future.result()
                on_answer(future.result())
        except BaseException:  # also an interrupt: requests under way end, none begins and none is repeated
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise
    return [found[key] for key in wanted]


def predictions(answers: Sequence[Answered]) -> list[dict[str, str]]:
    """What :func:`finqa_lab.finqa.scoring.score` takes. Questions without a reply are left out: it counts them missing.

    >>> from finqa_lab.finqa.replies import parse_reply
    >>> reply = "program: add(1, 2)"
    >>> predictions([Answered("a", "", Completion(reply), parse_reply(reply), False)])
    [{'id': 'a', 'predicted': 'add(1, 2)'}]
    """
    return [{"id": one.id, "predicted": one.reply.predicted} for one in answers if one.completion.error is None]


def read_log(path: str | os.PathLike) -> dict[tuple[str, str], Completion]:
    """Replies of a log by record id and hash, the last of each; failed requests are left out. {} without a file.

    A line that was cut off by a stop is passed over.

    Raises:
        CourseError: when the file cannot be read, or another line is no line of a log.
    """
    path = Path(path)
    if not path.exists():
        return {}
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError as error:
        raise CourseError(f"cannot read {path}: {error.strerror or error}; give another file for the log") from None
    found = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            entry = parse_json(line)
            key, completion = (entry["id"], entry["prompt_sha256"]), Completion(**entry["completion"])
            if not isinstance(completion.text, str):
                raise TypeError("the text is no text")
        except (ValueError, KeyError, TypeError) as error:
            if not _cut_off(line, error):
                raise CourseError(
                    f"{path}, line {number} is no logged reply ({error!r}); give another file for the log"
                ) from None
            continue
        if completion.error is None:
            found[key] = completion
    return found


def _answered(key: tuple[str, str], completion: Completion, resumed: bool) -> Answered:
    return Answered(*key, completion, parse_reply(completion.text), resumed)


def _cut_off(line: str, error: Exception) -> bool:
    """Whether a line that cannot be read is the beginning of a logged reply."""
    return isinstance(error, json.JSONDecodeError) and (line.startswith(_BEGINNING) or _BEGINNING.startswith(line))


class _Log:
    """Appends whole lines, from several threads."""

    def __init__(self, path: Path):
        self._path, self._lock = path, threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(path, "a+b") as stream:  # a line that a stop cut off must not swallow the next one
                if stream.tell():
                    stream.seek(-1, os.SEEK_END)
                    if stream.read(1) != b"\n":
                        stream.write(b"\n")
        except OSError as error:
            raise self._unwritable(error) from None

    def append(self, key: tuple[str, str], request: dict, completion: Completion) -> None:
        entry = {"id": key[0], "prompt_sha256": key[1], "request": request, "completion": asdict(completion)}
        line = json.dumps(entry, ensure_ascii=True) + "\n"
        with self._lock:
            try:
                with open(self._path, "ab") as stream:
                    stream.write(line.encode())
            except OSError as error:
                raise self._unwritable(error) from None

    def _unwritable(self, error: OSError) -> CourseError:
        return CourseError(f"cannot write {self._path}: {error.strerror or error}; choose a writable file for the log")
