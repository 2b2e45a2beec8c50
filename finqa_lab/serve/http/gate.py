"""The outermost layer: who is asking, errors in the dialect of the path, one line of log for each request."""

import dataclasses

from finqa_lab.serve.http.errors import ApiError, internal
from finqa_lab.serve.http.metrics import Metrics
from finqa_lab.serve.http.request_log import EVENT, Exchange
from finqa_lab.serve.http.settings import ServerSettings
from finqa_lab.web.access import RequestIds, foreign_page, key_matches
from finqa_lab.web.body import ClientGone, send_json
from finqa_lab.web.log import JsonLog

OPEN_PATHS = ("/health",)  # an orchestrator asks without a key
CLIENT_CLOSED = 499  # in the log only: nobody is left to read a status
ROUTES = (
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/models",
    "/api/generate",
    "/api/chat",
    "/api/tags",
    "/api/version",
    "/health",
    "/metrics",
    "/openapi.json",
)


class Gate:
    """ASGI middleware.

    Args:
        app: the application inside.
        settings: key and address.
        log: where the lines go.
        metrics: where the numbers go.
    """

    def __init__(self, app, settings: ServerSettings, log: JsonLog, metrics: Metrics):
        self.app, self.log, self.metrics = app, log, metrics
        self.key = settings.api_key.encode() if settings.api_key else None
        self.local = not settings.exposed
        self.ids = RequestIds()

    async def __call__(self, scope, receive, send) -> None:
        """Handle one request; other ASGI events pass through."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        failed = False
        request_id = self.ids.of(scope["headers"])
        exchange = scope["exchange"] = Exchange(request_id, _route(scope["path"]), scope["method"])
        status = 0

        async def counted_send(message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", request_id.encode())]
            await send(message)

        async def tell(error: ApiError) -> None:
            await send_json(counted_send, error.status, error.body(scope["path"]), error.headers)

        try:
            self._check(scope)
            await self.app(scope, receive, counted_send)
        except ApiError as error:
            exchange.reason = error.code
            await tell(error)
        except ClientGone:
            status, exchange.reason = CLIENT_CLOSED, "client_gone"
        except Exception as error:
            exchange.reason, failed = f"{type(error).__name__}: {error}", True
            if not status:
                await tell(internal())
        finally:
            line = exchange.line(status)
            self.metrics.observe(line)
            level = "info" if 0 < status < 500 and not failed else "error"
            self.log(EVENT, level=level, **dataclasses.asdict(line))

    def _check(self, scope) -> None:
        if self.local and foreign_page(scope["headers"]):
            text = "web pages of other machines may not use this server; see --host to serve beyond this machine"
            raise ApiError(403, text, "foreign_origin")
        if self.key is not None and scope["path"] not in OPEN_PATHS and not key_matches(scope["headers"], self.key):
            text = "the API key is missing or wrong; send it as 'Authorization: Bearer KEY'"
            raise ApiError(401, text, "invalid_api_key", headers=((b"www-authenticate", b"Bearer"),))


def _route(path: str) -> str:
    """A path as it stands in log and metrics, where a client must not be able to make up new ones."""
    if path.startswith("/v1/models/"):
        return "/v1/models/{model}"
    return path if path in ROUTES else "other"
