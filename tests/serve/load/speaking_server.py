"""A server of a few lines that says exactly what a test tells it to, byte by byte."""

import asyncio
import json
from collections.abc import Callable
from contextlib import asynccontextmanager


def event(piece: str | None = None, reason: str | None = None, usage: tuple[int, int] | None = None) -> bytes:
    """One event of a chat stream."""
    body: dict = {"choices": [] if usage else [{"delta": {"content": piece} if piece else {}, "finish_reason": reason}]}
    if usage:
        body["usage"] = {"prompt_tokens": usage[0], "completion_tokens": usage[1]}
    return b"data: " + json.dumps(body).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"
REPLY = [event("4"), event("2"), event(reason="stop"), event(usage=(7, 2)), DONE]


class Speaker:
    """Counts its requests; ``script(number, body)`` gives status, headers and the parts of the reply's body.

    A part is bytes, a coroutine function that is awaited, or None, which drops the connection.
    """

    def __init__(self, script: Callable):
        self.script, self.bodies, self.paths, self.url = script, [], [], ""

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                length = 0
                self.paths.append(line.split()[1].decode())
                while (header := await reader.readline()).strip():
                    name, _, value = header.partition(b":")
                    length = int(value) if name.lower() == b"content-length" else length
                self.bodies.append(json.loads(await reader.readexactly(length)))
                status, headers, parts = self.script(len(self.bodies) - 1, self.bodies[-1])
                head = f"HTTP/1.1 {status} X\r\n" + "".join(f"{key}: {value}\r\n" for key, value in headers.items())
                writer.write(head.encode() + b"Transfer-Encoding: chunked\r\n\r\n")
                for part in parts:
                    if part is None:
                        writer.transport.abort()
                        return
                    if callable(part):
                        await part()
                        continue
                    writer.write(b"%x\r\n%s\r\n" % (len(part), part))
                    await writer.drain()
                writer.write(b"0\r\n\r\n")
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def speaking(script: Callable | None = None):
    """Serve on a free port of loopback; the default answers 42."""
    speaker = Speaker(script or (lambda number, body: (200, {}, REPLY)))
    server = await asyncio.start_server(speaker._answer, "127.0.0.1", 0)
    speaker.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    try:
        yield speaker
    finally:
        server.close()
