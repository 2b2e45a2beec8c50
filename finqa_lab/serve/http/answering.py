"""One request for a reply, whatever its dialect: read, ask the engine, write; stop when nobody wants it any more."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from finqa_lab.errors import CourseError
from finqa_lab.serve.http.asking import Asked, request_for
from finqa_lab.serve.http.errors import ApiError, engine_failed, late, overloaded, refused
from finqa_lab.serve.http.pieces import Piece, pieces
from finqa_lab.serve.http.presence import DeadlinePassed, attended
from finqa_lab.serve.http.request_log import Exchange
from finqa_lab.serve.http.service import Service
from finqa_lab.serve.request import Overloaded
from finqa_lab.web.body import JSON_HEADER, BodyTooLarge, ClientGone, read_body


class Writer(Protocol):
    """Writes one reply in a dialect; every method returns bytes of the response's body.

    Attributes:
        stream_type: content type of a stream.
    """

    stream_type: bytes

    def begin(self) -> bytes:
        """What stands before the first piece of a stream."""

    def piece(self, text: str) -> bytes:
        """A piece of a stream, not empty."""

    def end(self, finish: str) -> bytes:
        """The end of a stream."""

    def broken(self, error: ApiError) -> bytes:
        """The end of a stream that failed: its status was sent long ago, so the error is part of the body."""

    def whole(self, text: str, finish: str) -> bytes:
        """A reply that is not streamed, as JSON."""


_GRAMMARS = ThreadPoolExecutor(1, "grammars")
"""Compiling a grammar takes up to two seconds; whoever asks for many of them waits for them alone."""
Read = Callable[[bytes], tuple[Asked, Callable[[Exchange], Writer]]]


class Answering:
    """A POST route.

    Args:
        service: the model.
        read: the dialect: from a request's body to what is asked and who writes the reply. It raises ApiError.
    """

    def __init__(self, service: Service, read: Read):
        self.service, self.read = service, read

    async def __call__(self, scope, receive, send) -> None:
        """One ASGI request.

        Raises:
            ApiError: when nothing was sent yet; the gate sends it.
            ClientGone: when nobody is left to read the reply.
        """
        exchange: Exchange = scope["exchange"]
        asked, make_writer = self.read(await self._body(scope, receive))
        exchange.model, exchange.stream = asked.model, asked.stream
        response = _Response(send, make_writer(exchange))
        try:
            async with attended(receive, self.service.settings.timeout - exchange.elapsed()):
                async with contextlib.aclosing(self._pieces(asked, exchange)) as reply:
                    if asked.stream:
                        finish = await response.stream(reply)
                    else:
                        text, finish = await _collect(reply)
            await (response.end(finish) if asked.stream else response.whole(text, finish))
        except ClientGone:
            exchange.finish_reason = "cancelled"
            raise
        except (DeadlinePassed, CourseError) as error:
            told = self._told(error)
            exchange.reason = told.code
            if isinstance(error, DeadlinePassed):
                exchange.finish_reason = "timeout"
            elif exchange.output_tokens is not None:  # else no reply had begun: the request was refused
                exchange.finish_reason = "error"
            if not response.started:
                raise told from None
            await response.broken(told)

    async def _body(self, scope, receive) -> bytes:
        settings = self.service.settings
        try:
            async with asyncio.timeout(settings.timeout):  # a client that sends a byte a minute holds a connection
                return await read_body(scope, receive, settings.body_cap)
        except BodyTooLarge as error:
            close = ((b"connection", b"close"),)  # the rest of the body is not read
            raise ApiError(413, f"{error}; send less", "body_too_large", headers=close) from None
        except TimeoutError:
            raise ApiError(408, f"the body did not come within {settings.timeout:g} s", "body_timeout") from None

    async def _pieces(self, asked: Asked, exchange: Exchange) -> AsyncIterator[Piece]:
        service = self.service
        arguments = asked, service.chat, service.catalogue, service.grammars, service.settings
        pool = None if asked.structure is None else _GRAMMARS
        request = await asyncio.get_running_loop().run_in_executor(pool, request_for, *arguments)
        exchange.adapter, exchange.prompt_tokens = request.adapter, len(request.prompt)
        reply = pieces(service.worker, request, asked.stop, service.chat.tokenizer, exchange)
        async with contextlib.aclosing(reply):
            async for piece in reply:
                yield piece

    def _told(self, error: Exception) -> ApiError:
        """What the client is told of an error that is not its dialect's."""
        if isinstance(error, DeadlinePassed):
            return late(self.service.settings.timeout)
        if isinstance(error, Overloaded):
            return overloaded(error)
        return refused(error) if self.service.worker.alive else engine_failed()


async def _collect(reply: AsyncIterator[Piece]) -> tuple[str, str]:
    """Text and end of a whole reply."""
    texts, finish = [], None
    async for piece in reply:
        texts.append(piece.text)
        finish = piece.finish
    return "".join(texts), finish


class _Response:
    """The messages of one response, the headers with the first of them."""

    def __init__(self, send, writer: Writer):
        self.send, self.writer, self.started = send, writer, False

    async def stream(self, reply: AsyncIterator[Piece]) -> str:
        """Send the pieces as they come; returns why they ended. The end itself is not sent yet."""
        finish = None
        async for piece in reply:
            text = b"" if self.started else self.writer.begin()
            text += self.writer.piece(piece.text) if piece.text else b""
            finish = piece.finish
            await self._start((b"content-type", self.writer.stream_type), (b"cache-control", b"no-cache"))
            if text:
                await self.send({"type": "http.response.body", "body": text, "more_body": True})
        return finish

    async def end(self, finish: str) -> None:
        """The last message of a stream."""
        await self.send({"type": "http.response.body", "body": self.writer.end(finish)})

    async def broken(self, error: ApiError) -> None:
        """The last message of a stream that failed."""
        await self.send({"type": "http.response.body", "body": self.writer.broken(error)})

    async def whole(self, text: str, finish: str) -> None:
        """All of a response that is not streamed."""
        body = self.writer.whole(text, finish)
        await self._start(JSON_HEADER, (b"content-length", str(len(body)).encode()))
        await self.send({"type": "http.response.body", "body": body})

    async def _start(self, *headers: tuple[bytes, bytes]) -> None:
        if not self.started:
            self.started = True
            await self.send({"type": "http.response.start", "status": 200, "headers": [*headers]})
