"""Asking an endpoint: one request, one answer, or the error that it is."""

import json
from collections.abc import Mapping, Sequence

from finqa_lab.cloud.clients import Cloud
from finqa_lab.cloud.faults import sorted_faults
from finqa_lab.cloud.replies import read_answer

JSON = "application/json"


def ask(cloud: Cloud, endpoint: str, messages: Sequence[Mapping[str, str]], max_tokens: int = 128) -> float:
    """The number that the model answers.

    Nothing is asked twice: decoding is deterministic, so a reply without an answer stays one, and a request that timed
    out may still be running.

    Args:
        cloud: with the endpoint.
        endpoint: its name.
        messages: of the conversation, the question last; the server applies the chat template.
        max_tokens: of the reply.

    Raises:
        StructureError: when there is no number in the reply.
        MalformedRequest: when the container refuses the request.
        InvokeTimeout: when no answer came in time.
        NoSuchEndpoint: when there is no such endpoint.
    """
    body = json.dumps({"messages": [dict(message) for message in messages], "max_tokens": max_tokens, "temperature": 0})
    return read_answer(invoke(cloud, endpoint, body.encode()))


def invoke(cloud: Cloud, endpoint: str, body: bytes) -> bytes:
    """The bytes that the endpoint replies to a body of JSON; raises what :func:`ask` raises."""
    with sorted_faults(f"invoking {endpoint}"):
        reply = cloud.client("sagemaker-runtime").invoke_endpoint(
            EndpointName=endpoint, Body=body, ContentType=JSON, Accept=JSON
        )
        return reply["Body"].read()
