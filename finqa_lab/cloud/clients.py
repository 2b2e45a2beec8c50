"""boto3 clients for the service or for the stand-in: the same calls, the same checks, other addresses.

Offline, the session has invented credentials and reads neither the environment's nor a file's. Only ``target="aws"``
lets boto3 look for real ones. On both, every request is held to the service's model before it is sent.
"""

import contextlib
import os
from collections.abc import Iterator
from typing import Literal
from urllib.parse import urlsplit

from finqa_lab.cloud.container import SERVICE, Limits
from finqa_lab.cloud.errors import CloudError
from finqa_lab.cloud.validation import check_request, loader
from finqa_lab.errors import CourseError

Target = Literal["offline", "aws"]
_READ_S = {"sagemaker-runtime": 70}
"""Seconds to wait for a reply; the guide asks for more than the container's 60."""

_NOTHING_OF_THE_USER = {
    "profile": (None, None, None, None),
    "config_file": (None, None, os.devnull, None),
    "credentials_file": (None, None, os.devnull, None),
}
"""botocore's variables without their environment: name in a file, variable, default, conversion."""


class Cloud:
    """Clients of one region.

    Args:
        session: boto3's.
        target: which of the two this is.
        region: of all clients.
        endpoint: address of the stand-in; None for the service.
        poll_s: seconds between two looks at an endpoint that is being made.
    """

    def __init__(self, session, target: Target, region: str, endpoint: str | None = None, poll_s: float = 30.0):
        self.session, self.target, self.region, self.endpoint, self.poll_s = session, target, region, endpoint, poll_s
        self._clients = {}

    def client(self, service: str):
        """The client of a service; made once."""
        if service not in self._clients:
            from botocore.config import Config

            from finqa_lab.cloud.faults import sorted_faults

            retries = {"mode": "standard", "total_max_attempts": 1 if service == "sagemaker-runtime" else 4}
            style = {"addressing_style": "path"} if self.endpoint else {}
            config = Config(retries=retries, connect_timeout=10, read_timeout=_READ_S.get(service, 30), s3=style)
            with sorted_faults(f"opening {service}"):
                self._clients[service] = self.session.client(
                    service, self.region, endpoint_url=self.endpoint, config=config
                )
        return self._clients[service]


@contextlib.contextmanager
def open_cloud(
    target: Target = "offline",
    region: str = "us-east-1",
    *,
    stand_in: str | None = None,
    limits: Limits = SERVICE,
) -> Iterator[Cloud]:
    """Clients of the service, or of a stand-in that lives as long as the block.

    Args:
        target: ``offline`` reads no credentials.
        region: of the service.
        stand_in: address of a moto server on this machine that runs already; by default one is started.
        limits: of the stand-in's containers.

    Raises:
        CourseError: when boto3, or offline moto, is not installed.
        CloudError: when the address is not on this machine.
    """
    if target == "aws":
        yield Cloud(new_session(read_credentials=True), target, region)
        return
    if target != "offline":
        raise CloudError(f"there is no target '{target}'; choose offline or aws")
    from finqa_lab.cloud.standin import open_stand_in

    if stand_in is not None and urlsplit(stand_in).hostname not in ("127.0.0.1", "localhost", "::1"):
        raise CloudError(f"the stand-in {stand_in[:80]} is not on this machine; give http://127.0.0.1:PORT")
    with open_stand_in(region, stand_in, limits) as cloud:
        yield cloud


def new_session(read_credentials: bool):
    """A boto3 session whose every request is checked first; without credentials it has invented ones."""
    try:
        import boto3
        import botocore.session
    except ImportError:
        raise CourseError("the cloud commands need boto3: pip install 'finqa-lab[cloud]'") from None
    core = botocore.session.Session(session_vars=None if read_credentials else _NOTHING_OF_THE_USER)
    core.register_component("data_loader", loader())
    if not read_credentials:
        core.set_credentials("offline", "offline")
    core.register("before-parameter-build.*.*", _check, unique_id="finqa-lab-check")
    return boto3.Session(botocore_session=core)


def _check(params, model, **_) -> None:
    check_request(model.service_model.service_name, model.name, params)
