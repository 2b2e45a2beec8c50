"""The engine's tokens as pieces of text, with the end of the reply."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from tokenizers import Tokenizer

from finqa_lab.serve.http.detokenize import Detokenizer
from finqa_lab.serve.http.request_log import Exchange
from finqa_lab.serve.http.stopping import StopStrings
from finqa_lab.serve.request import Request
from finqa_lab.serve.worker import EngineWorker

STOP, LENGTH = "stop", "length"
_FINISH = {"stop token": STOP, "stop sequence": STOP, "limit": LENGTH, "context": LENGTH}


@dataclass(frozen=True)
class Piece:
    """Text of a reply.

    Attributes:
        text: perhaps "".
        finish: None, or why this is the last piece: ``"stop"`` or ``"length"``.
    """

    text: str
    finish: str | None = None


async def pieces(
    worker: EngineWorker, request: Request, stop: tuple[str, ...], tokenizer: Tokenizer, exchange: Exchange
) -> AsyncIterator[Piece]:
    """A reply, one piece a token; pieces without text are left out, but for the first and the last.

    The first piece comes with the first token, whether it has text or not: only then is it known that the engine takes
    the request. Closing the iterator cancels the request.

    Args:
        worker: that runs the engine.
        request: for it.
        stop: strings; the text ends before the first of them.
        tokenizer: of the model.
        exchange: where tokens and times are counted.

    Raises:
        Overloaded, CourseError: of :meth:`finqa_lab.serve.worker.EngineWorker.stream`.
    """
    detokenizer, strings = Detokenizer(tokenizer), StopStrings(stop)
    first = True
    exchange.submitted = exchange.elapsed()
    async with contextlib.aclosing(worker.stream(request)) as events:
        async for event in events:
            exchange.token(event.waited, event.cached)
            text = strings.add("" if event.ended == "stop token" else detokenizer.add(event.token))
            finish = _FINISH.get(event.ended)
            if finish is not None:
                text += strings.add(detokenizer.flush()) + strings.flush()
            if strings.found is not None:
                finish = STOP
            exchange.finish_reason = finish
            if text or first or finish is not None:
                yield Piece(text, finish)
            first = False
            if finish is not None:
                return
