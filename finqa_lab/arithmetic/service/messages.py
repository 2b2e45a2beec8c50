"""The service's refusals, in one shape, and its reading of a body in terms of them."""

from finqa_lab.web.body import BodyTooLarge, NotJSON, parse_json, read_body


class Refusal(Exception):
    """A request that is answered with an error.

    The body is ``{"error": {"reason", "message", "mend", "field"?, "suggestion"?, "request_id"}}``.

    Args:
        status: HTTP status.
        reason: a fixed word that programs can compare.
        message: one sentence: what is wrong.
        mend: one sentence: what to do instead.
        headers: further response headers.
        facts: further members of the error object.
    """

    def __init__(self, status: int, reason: str, message: str, mend: str, headers=(), **facts):
        super().__init__(message)
        self.status, self.reason, self.headers = status, reason, tuple(headers)
        self.error = {"reason": reason, "message": message, "mend": mend}
        self.error.update((name, value) for name, value in facts.items() if value is not None)


async def read_json_body(scope: dict, receive, cap: int) -> object:
    """The parsed JSON body of a request.

    Raises:
        Refusal: 413 when it is longer than ``cap`` bytes, 400 when it is not JSON.
        ClientGone: when the client went away.
    """
    try:
        return parse_json(await read_body(scope, receive, cap))
    except BodyTooLarge as error:
        close = ((b"connection", b"close"),)  # the rest of the body is not read
        raise Refusal(413, "body_too_large", str(error), "send fewer problems at once", headers=close) from None
    except NotJSON as error:
        raise Refusal(400, "not_json", str(error), 'send {"problem": "951+11"} as UTF-8') from None
