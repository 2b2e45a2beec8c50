"""The two prediction routes, ``POST /predict`` and ``POST /predict/batch``, as plain ASGI applications."""

import asyncio
import contextlib

from finqa_lab.arithmetic.service.batching import Batcher, DeadlinePassed, DecodeFailed, Job, QueueFull
from finqa_lab.arithmetic.service.engine import Answer
from finqa_lab.arithmetic.service.live import LiveEngine
from finqa_lab.arithmetic.service.messages import Refusal, read_json_body
from finqa_lab.arithmetic.service.settings import Settings
from finqa_lab.arithmetic.service.validation import InvalidProblem, Problem, parse_problem
from finqa_lab.web.body import ClientGone, send_json

PATIENCE = 0.05  # seconds before a waiting request starts to watch whether its client is still there


class Predict:
    """Answers one request: parse, wait for the shared decode, send.

    Args:
        settings: the caps.
        live: where the engine comes from.
        batcher: where the decode happens.
        many: False for ``/predict`` (one problem), True for ``/predict/batch``.
    """

    def __init__(self, settings: Settings, live: LiveEngine, batcher: Batcher, many: bool):
        self.settings, self.live, self.batcher, self.many = settings, live, batcher, many

    async def __call__(self, scope, receive, send) -> None:
        """One ASGI request.

        Raises:
            Refusal: 400, 413, 422, 429, 500 or 503; the gate sends it.
        """
        exchange = scope["exchange"]
        body = await read_json_body(scope, receive, self.settings.body_cap)
        problems = self._parse_many(body) if self.many else [_parse(_member(body, "problem"), "problem")]
        engine = self.live.engine
        if engine is None:
            trouble = self.live.trouble or "no model is loaded"
            raise Refusal(503, "no_model", trouble, "promote a version, then try again")
        exchange.version, exchange.problems = engine.version, len(problems)
        try:
            job = self.batcher.submit(problems, engine)
        except QueueFull as full:
            wait = str(full.retry_after).encode()
            mend = f"wait {full.retry_after} s, then try again"
            raise Refusal(429, "queue_full", "the queue is full", mend, headers=((b"retry-after", wait),)) from None
        answers = await self._wait(job, receive)
        exchange.batch = job.batch
        results = [_result(problem, answer) for problem, answer in zip(problems, answers)]
        payload = {"results": results} if self.many else results[0]
        payload |= {"version": engine.version, "latency_ms": exchange.elapsed_ms()}
        await send_json(send, 200, payload)

    def _parse_many(self, body: object) -> list[Problem]:
        texts = _member(body, "problems")
        if not isinstance(texts, list) or not texts:
            mend = 'send {"problems": ["951+11", "7-3"]}'
            raise Refusal(422, "not_a_list", "problems must be a list of at least one problem", mend, field="problems")
        largest = self.settings.largest_request
        if len(texts) > largest:
            text = f"{len(texts)} problems are more than the {largest} that one request may hold"
            raise Refusal(422, "batch_too_large", text, "split them over several requests", field="problems")
        return [_parse(text, f"problems[{index}]") for index, text in enumerate(texts)]

    async def _wait(self, job: Job, receive) -> list[Answer]:
        """The answers; a job that is no longer wanted leaves the queue, whatever the cause."""
        try:
            await asyncio.wait((job.future,), timeout=PATIENCE)
            if not job.future.done():
                await self._wait_watching(job, receive)
            return job.future.result()
        except DeadlinePassed:
            raise _late(self.settings.timeout) from None
        except DecodeFailed as failure:
            mend = "try again; look at /health when it happens again"
            raise Refusal(500, "decode_failed", "the model failed on this batch", mend) from failure
        finally:
            job.future.cancel()

    async def _wait_watching(self, job: Job, receive) -> None:
        """The slow way: also notice a client that leaves, and a decode that does not end."""
        gone = asyncio.ensure_future(_disconnected(receive))
        try:
            await asyncio.wait((job.future, gone), timeout=self.settings.timeout, return_when=asyncio.FIRST_COMPLETED)
            if not job.future.done():
                raise ClientGone if gone.done() else DeadlinePassed
        finally:
            gone.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await gone


async def _disconnected(receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _late(timeout: float) -> Refusal:
    text = f"no answer within {timeout:g} s"
    return Refusal(503, "timeout", text, "try again later", headers=((b"retry-after", b"1"),))


def _member(body: object, name: str) -> object:
    """The one member of the request's object.

    Raises:
        Refusal: 422 when the body is no object, lacks the member or has others (a misspelt name, most likely).
    """
    example = '{"problem": "951+11"}' if name == "problem" else '{"problems": ["951+11"]}'
    if not isinstance(body, dict):
        raise Refusal(422, "not_an_object", "the body is not a JSON object", f"send {example}")
    if name not in body:
        raise Refusal(422, "missing_field", f"the field '{name}' is missing", f"send {example}", field=name)
    if len(body) > 1:
        other = next(key for key in body if key != name)[:40]
        raise Refusal(422, "unknown_field", f"the field {other!a} is not known", f"send {example}", field=other)
    return body[name]


def _parse(text: object, field: str) -> Problem:
    try:
        return parse_problem(text)
    except InvalidProblem as error:
        raise Refusal(
            422, error.reason.value, error.message, error.mend, field=field, suggestion=error.suggestion
        ) from None


def _result(problem: Problem, answer: Answer) -> dict:
    """``{"answer": 962, "text": "951+11=962"}``; without a number, what the model wrote stands behind the ``=``."""
    shown = answer.raw if answer.value is None else answer.value
    return {"answer": answer.value, "text": f"{problem}={shown}"}
