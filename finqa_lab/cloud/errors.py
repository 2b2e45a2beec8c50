"""What goes wrong in a cloud, as types: each is one sentence for the reader, and a class for the program.

A program that deploys has to tell an expired session from a quota, and a container that is still loading from one that
will never answer. The service reports them as strings in several shapes; :mod:`finqa_lab.cloud.faults` sorts them.
"""

import re

from finqa_lab.errors import CourseError


class CloudError(CourseError):
    """Something of the deployment; the message has no secrets in it, whatever it was made from."""

    def __init__(self, message: str):
        super().__init__(redact(message))


class InvalidRequest(CloudError):
    """The request does not fit the service's own model of it; it was not sent."""


class InvalidPackage(CloudError):
    """The archive is damaged, has members that do not belong there, or is not the one of the plan."""


class NotConfirmed(CloudError):
    """Nothing was created: the plan was not confirmed, or costs more than the limits that were."""


class CredentialsProblem(CloudError):
    """There are no credentials, or the service does not accept them."""


class CredentialsExpired(CredentialsProblem):
    """The credentials were good once."""


class AccessRefused(CloudError):
    """The credentials are good, and their permissions do not reach."""


class QuotaExceeded(CloudError):
    """The account may not have more of this resource."""


class InstanceUnavailable(CloudError):
    """The region does not have the instance, or has none free, or its price is not known here."""


class AlreadyExists(CloudError):
    """A resource of that name is there, from another deployment.

    Or, when the client sent the request a second time because the first answer was lost, perhaps from this one:
    ``retried`` says so, and then it counts as ours.
    """

    def __init__(self, message: str, retried: bool = False):
        super().__init__(message)
        self.retried = retried


class EndpointFailed(CloudError):
    """The endpoint did not come into service."""


class ContainerUnhealthy(EndpointFailed):
    """The container ran, and ``/ping`` did not answer 200 in time."""


class ContainerExited(EndpointFailed):
    """The container's process ended before it was healthy, or while it served."""


class NoSuchEndpoint(CloudError):
    """There is no endpoint of that name."""


class InvokeTimeout(CloudError):
    """The container had the request for as long as it may, and did not answer."""


class MalformedRequest(CloudError):
    """The container understood the request to be wrong: no JSON, a field missing, a prompt too long."""


class StructureError(CloudError):
    """The model replied, and there is no answer in the reply."""


class ModelFailed(CloudError):
    """The container failed on a request that was right."""


class NothingToTearDown(CloudError):
    """The deployment is not known, or was torn down before; nothing of it is left."""


class CleanupIncomplete(CloudError):
    """Some resources could not be deleted; the ledger knows which, and the same command tries again."""


_SECRETS = (
    (re.compile(r"\b(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{12,}\b"), "[key id]"),
    (re.compile(r"(?i)\b(hf_)[A-Za-z0-9]{8,}"), r"[token]"),
    (
        re.compile(
            r"(?i)((?:secret|token|password|credential|signature)[a-z_-]{0,20}['\"]?\s*[=:]\s*['\"]?)[^\s'\",}\[]{4,}"
        ),
        r"\1[secret]",
    ),
    (
        re.compile(
            r"(?<![A-Za-z0-9/+=])(?=(?:[A-Za-z]*[0-9/+]){2})[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=])(?<![a-f0-9]{40})"
        ),
        "[secret]",
    ),
)


def redact(text: str) -> str:
    """The text without what looks like a key id, a secret key, a session token or a hub token.

    >>> redact("InvalidClientTokenId: AKIAIOSFODNN7EXAMPLE is not valid, secret_key=wJalrXUtnFEMIK7MDENGbPxRfiCY")
    'InvalidClientTokenId: [key id] is not valid, secret_key=[secret]'
    """
    for pattern, instead in _SECRETS:
        text = pattern.sub(instead, text)
    return text
