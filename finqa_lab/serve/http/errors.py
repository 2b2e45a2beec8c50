"""A request that is answered with an error, in the shape of either dialect."""

import math

from finqa_lab.errors import CourseError
from finqa_lab.serve.request import Overloaded

INVALID, OVERLOADED, SERVER = "invalid_request_error", "overloaded_error", "server_error"


class ApiError(Exception):
    """What a client is told.

    Args:
        status: HTTP status.
        message: one sentence: what is wrong, where, and how to mend it.
        code: a fixed word that programs can compare.
        param: the field of the request that is wrong, or None.
        kind: ``type`` of OpenAI's errors.
        headers: further response headers.
    """

    def __init__(self, status: int, message: str, code: str, param: str | None = None, kind: str = INVALID, headers=()):
        super().__init__(message)
        self.status, self.message, self.code, self.param, self.kind = status, message, code, param, kind
        self.headers = tuple(headers)

    def body(self, path: str) -> dict:
        """The JSON body: Ollama's for its own paths, OpenAI's for all others.

        >>> error = ApiError(404, "there is no such model", "model_not_found", "model")
        >>> error.body("/api/chat")
        {'error': 'there is no such model'}
        >>> sorted(error.body("/v1/chat/completions")["error"])
        ['code', 'message', 'param', 'type']
        """
        if path.startswith("/api/"):
            return {"error": self.message}
        return {"error": {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}}


def overloaded(error: Overloaded) -> ApiError:
    """429 with the seconds after which to come back."""
    return ApiError(429, str(error), "queue_full", kind=OVERLOADED, headers=_retry_after(error.retry_after))


def late(seconds: float) -> ApiError:
    """503: the reply was not complete in time."""
    text = f"the reply was not complete within {seconds:g} s; ask for fewer tokens, or come back when less is going on"
    return ApiError(503, text, "timeout", kind=OVERLOADED, headers=_retry_after(1))


def refused(error: CourseError) -> ApiError:
    """400: the engine does not take the request."""
    return ApiError(400, str(error), "invalid_request")


def engine_failed() -> ApiError:
    """503: the engine has died or was closed. What it died of stands in the server's log only."""
    return ApiError(503, "the engine does not run; the server has to be started again", "engine_failed", kind=SERVER)


def internal() -> ApiError:
    """500: a fault of the server; what it was stands in the log under the request's id."""
    text = "the server failed on this request; report its x-request-id when it happens again"
    return ApiError(500, text, "internal_error", kind=SERVER)


def _retry_after(seconds: float) -> tuple[tuple[bytes, bytes]]:
    return ((b"retry-after", str(max(1, math.ceil(seconds))).encode()),)
