"""What botocore raises, as the errors of :mod:`finqa_lab.cloud.errors`.

The service says what is wrong in a code, and often only in the text behind a code that serves for everything
(``ValidationException``), so both are looked at. The text is passed on without secrets.
"""

import contextlib
import json
from collections.abc import Iterator

from finqa_lab.cloud.errors import (
    AccessRefused,
    AlreadyExists,
    CloudError,
    ContainerUnhealthy,
    CredentialsExpired,
    CredentialsProblem,
    EndpointFailed,
    InstanceUnavailable,
    InvokeTimeout,
    NoSuchEndpoint,
    QuotaExceeded,
)
from finqa_lab.cloud.replies import raise_for_status

_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"}
_UNKNOWN = {"InvalidClientTokenId", "UnrecognizedClientException", "InvalidAccessKeyId", "SignatureDoesNotMatch",
            "AuthFailure", "InvalidSignatureException", "IncompleteSignature"}  # fmt: skip
_REFUSED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "NotAuthorized", "403"}
_QUOTA = {"ResourceLimitExceeded", "LimitExceededException", "ServiceQuotaExceededException"}
_MISSING = {
    "NoSuchKey",
    "NoSuchBucket",
    "ResourceNotFound",
    "ResourceNotFoundException",
    "ObjectNotFoundException",
    "404",
}
_MISSING_TEXTS = ("could not find", "does not exist", "no scalable target", "no scaling policy", "not found")


@contextlib.contextmanager
def sorted_faults(doing: str) -> Iterator[None]:
    """Turn what botocore raises inside into a typed error.

    Args:
        doing: what was tried, for the sentence: ``creating the endpoint x``.
    """
    try:
        yield
    except CloudError:
        raise
    except Exception as error:
        sorted_error = sort_fault(error, doing)
        if sorted_error is None:
            raise
        raise sorted_error from None  # botocore's text may hold what must not be shown


def sort_fault(error: Exception, doing: str) -> CloudError | None:
    """The typed error for one of botocore's or boto3's; None for an exception of another kind."""
    import botocore.exceptions as known
    from boto3.exceptions import Boto3Error

    if isinstance(error, known.WaiterError):
        return _waited(error, doing)
    if isinstance(error, known.ClientError):
        return _answered(error, doing)
    if isinstance(error, known.NoCredentialsError | known.PartialCredentialsError | known.ProfileNotFound):
        return CredentialsProblem(
            f"{doing}: there are no credentials ({_short(error)}); run `aws configure` or set a profile"
        )
    if isinstance(error, known.TokenRetrievalError | known.SSOError):
        return CredentialsExpired(f"{doing}: the session has expired ({_short(error)}); run `aws sso login`")
    if isinstance(error, known.CredentialRetrievalError):
        return CredentialsProblem(f"{doing}: the credentials cannot be read ({_short(error)})")
    if isinstance(error, known.ReadTimeoutError) and doing.startswith("invoking"):
        return InvokeTimeout(f"{doing}: no answer came in time; the service gives a container 60 s")
    if isinstance(error, known.NoRegionError):
        return CloudError(f"{doing}: no region; give --region")
    if isinstance(error, known.BotoCoreError | Boto3Error):
        return CloudError(f"{doing}: {_short(error)}")
    return None


def is_missing(error: Exception) -> bool:
    """Whether a deletion failed because nothing was there."""
    code, text = _code_and_text(error)
    return code in _MISSING or (
        code in ("ValidationException", "ValidationError") and any(part in text.lower() for part in _MISSING_TEXTS)
    )


def failed_endpoint(name: str, reason: str) -> EndpointFailed:
    """The error for an endpoint whose status is ``Failed``, by the reason that it gives."""
    kind = EndpointFailed
    if "ping health check" in reason:
        kind = ContainerUnhealthy
    elif "capacity" in reason.lower():
        kind = InstanceUnavailable
    return kind(f"the endpoint {name} failed: {reason or 'the service gives no reason'}")


def _answered(error, doing: str) -> CloudError:
    code, text = _code_and_text(error)
    lower = text.lower()
    if code in _EXPIRED or "security token included in the request is expired" in lower:
        return CredentialsExpired(f"{doing}: the credentials have expired; sign in again, then run the same command")
    if code in _UNKNOWN:
        return CredentialsProblem(f"{doing}: the service does not accept the credentials ({code})")
    if code in _REFUSED:
        return AccessRefused(f"{doing}: the credentials are good, but not for this ({code}: {text})")
    if code in _QUOTA:
        return QuotaExceeded(f"{doing}: {text}; ask for more in Service Quotas, or choose another instance")
    if code == "ModelError":
        return _refused(error)
    if "already exist" in lower:
        retried = error.response.get("ResponseMetadata", {}).get("RetryAttempts", 0) > 0
        return AlreadyExists(f"{doing}: the name is taken ({text}); make a plan with another name", retried)
    if "instancetype" in lower.replace(" ", "") and ("region" in lower or "not supported" in lower or "enum" in lower):
        return InstanceUnavailable(f"{doing}: {text}; choose an instance that the region has")
    if "insufficient" in lower and "capacity" in lower:
        return InstanceUnavailable(f"{doing}: {text}; try again later, or another region")
    if "endpoint" in lower and ("could not find" in lower or "not found" in lower):
        return NoSuchEndpoint(f"{doing}: {text}; `finqa-lab cloud orphans` lists what is there")
    return CloudError(f"{doing}: {code}: {text}")


def _refused(error) -> CloudError:
    """The container's own status and sentence, out of ``ModelError``."""
    status = int(error.response.get("OriginalStatusCode") or 500)
    message = error.response.get("OriginalMessage") or _code_and_text(error)[1]
    if "timed out" in message.lower():
        return InvokeTimeout(f"the container did not answer in time: {message[:200]}")
    payload = message.encode() if message.startswith("{") else json.dumps({"error": {"message": message}}).encode()
    try:
        raise_for_status(status if status != 200 else 500, payload)
    except CloudError as found:
        return found


def _waited(error, doing: str) -> CloudError:
    last = error.last_response if isinstance(error.last_response, dict) else {}
    if last.get("EndpointStatus") == "Failed":
        return failed_endpoint(last.get("EndpointName", ""), last.get("FailureReason", ""))
    if "Error" in last:
        import botocore.exceptions as known

        return _answered(known.ClientError(last, "wait"), doing)
    return EndpointFailed(f"{doing}: it was not ready in time; look at it with `finqa-lab cloud orphans`")


def _code_and_text(error: Exception) -> tuple[str, str]:
    answer = getattr(error, "response", None)
    details = answer.get("Error", {}) if isinstance(answer, dict) else {}
    return str(details.get("Code", "")), str(details.get("Message", ""))


def _short(error: Exception) -> str:
    return str(error).split("\n")[0][:200] or type(error).__name__
