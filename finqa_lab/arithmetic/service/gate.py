"""The outermost layer: who is asking, how long it took, one log line for each request, no traceback for anyone."""

import time

from finqa_lab.arithmetic.service.messages import Refusal
from finqa_lab.arithmetic.service.telemetry import Counters
from finqa_lab.web.access import RequestIds, key_matches
from finqa_lab.web.body import ClientGone, send_json
from finqa_lab.web.log import JsonLog

OPEN_PATHS = ("/health",)  # an orchestrator asks without a key
KNOWN_PATHS = ("/predict", "/predict/batch", "/health", "/metrics", "/openapi.json")
CLIENT_CLOSED = 499  # in the log only: nobody is left to read a status


class Exchange:
    """One request, as the layers below see it in ``scope["exchange"]``; what they set is logged."""

    __slots__ = ("request_id", "started", "version", "batch", "problems", "reason")

    def __init__(self, request_id: str):
        self.request_id, self.started = request_id, time.perf_counter()
        self.version: str | None = None
        self.batch = self.problems = 0
        self.reason: str | None = None

    def elapsed_ms(self) -> float:
        """Milliseconds since the request's headers were read."""
        return round((time.perf_counter() - self.started) * 1000, 3)


class Gate:
    """ASGI middleware.

    Args:
        app: the application inside.
        direct: path -> ASGI application for POST requests that need nothing of ``app``: passing its middleware and
            router by saves a good part of the CPU time of a prediction.
        log: where the lines go.
        counters: where the numbers go.
        api_key: secret that must come as ``Authorization: Bearer KEY`` or ``X-API-Key: KEY``, or None.
    """

    def __init__(self, app, direct: dict, log: JsonLog, counters: Counters, api_key: str | None = None):
        self.app, self.direct, self.log, self.counters = app, direct, log, counters
        self.key = api_key.encode() if api_key else None
        self.ids = RequestIds()

    async def __call__(self, scope, receive, send) -> None:
        """Handle one request; other ASGI events pass through."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        exchange = scope["exchange"] = Exchange(self.ids.of(scope["headers"]))
        status = 0

        async def counted_send(message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", exchange.request_id.encode())]
            await send(message)

        try:
            if self.key is not None and scope["path"] not in OPEN_PATHS:
                self._check_key(scope["headers"])
            direct = self.direct.get(scope["path"]) if scope["method"] == "POST" else None
            await (direct or self.app)(scope, receive, counted_send)
        except Refusal as refusal:
            exchange.reason = refusal.reason
            error = {**refusal.error, "request_id": exchange.request_id}
            await send_json(counted_send, refusal.status, {"error": error}, refusal.headers)
        except ClientGone:
            status, exchange.reason = CLIENT_CLOSED, "client_gone"
        except Exception as error:
            exchange.reason = f"{type(error).__name__}: {error}"
            if not status:  # the client learns that it failed and how to report it, not how we are built
                text = "the service failed on this request"
                mend = "try again; report the request_id when it happens again"
                body = {"reason": "internal", "message": text, "mend": mend, "request_id": exchange.request_id}
                await send_json(counted_send, 500, {"error": body})
        finally:
            self._record(scope, exchange, status)

    def _check_key(self, headers) -> None:
        if not key_matches(headers, self.key):
            raise Refusal(
                401,
                "unauthorized",
                "the API key is missing or wrong",
                "send it as 'Authorization: Bearer KEY' or 'X-API-Key: KEY'",
                headers=((b"www-authenticate", b"Bearer"),),
            )

    def _record(self, scope, exchange: Exchange, status: int) -> None:
        latency = exchange.elapsed_ms()
        path = scope["path"] if scope["path"] in KNOWN_PATHS else "other"
        self.counters.requests[path, status] += 1
        if status == 200 and exchange.problems:
            self.counters.latencies.append(latency)
        facts = {
            "request_id": exchange.request_id,
            "method": scope["method"],
            "path": path,
            "status": status,
            "latency_ms": latency,
            "version": exchange.version,
            "problems": exchange.problems,
            "batch": exchange.batch,
        }
        if exchange.reason is not None:
            facts["reason"] = exchange.reason
        level = "info" if 0 < status < 500 else "error"
        self.log("request", level=level, **facts)
