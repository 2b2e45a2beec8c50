"""Carrying out a confirmed plan: the ledger first, then the request, then the ledger again; and everything back.

:func:`deployed` is a block: what it made is removed when the block ends, however it ends. :func:`deploy` leaves an
endpoint running, unless making it failed; then nothing is left either.
"""

import contextlib
import datetime
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from finqa_lab.cloud.clients import Cloud
from finqa_lab.cloud.confirm import Confirmation
from finqa_lab.cloud.errors import AlreadyExists, InvalidPackage, InvalidRequest, NotConfirmed
from finqa_lab.cloud.faults import is_missing, sorted_faults
from finqa_lab.cloud.ledger import CREATED, INTEND, REFUSED, Ledger
from finqa_lab.cloud.plan import Plan, Step
from finqa_lab.cloud.standin import ensure_bucket
from finqa_lab.cloud.teardown import cleanup, raise_if_left
from finqa_lab.files import sha256_file

Progress = Callable[[str], None]
PROVISION_S = 900
"""For the instance and the download of the image and the archive, before the container's start-up limit begins."""


@dataclass(frozen=True)
class Live:
    """An endpoint in service.

    Attributes:
        plan: that it was made from.
        ends: until when it was allowed.
    """

    plan: Plan
    ends: datetime.datetime

    @property
    def name(self) -> str:
        """Of the endpoint, and of the deployment in the ledger."""
        return self.plan.name


@contextlib.contextmanager
def deployed(
    cloud: Cloud, plan: Plan, archive: str | os.PathLike, confirmation: Confirmation, ledger: Ledger,
    progress: Progress | None = None,
) -> Iterator[Live]:  # fmt: skip
    """An endpoint for the length of a block.

    Args:
        cloud: from :func:`finqa_lab.cloud.clients.open_cloud`.
        plan: to carry out.
        archive: the file of the plan's package.
        confirmation: from :func:`finqa_lab.cloud.confirm.confirm`, of this very plan.
        ledger: where all of it is noted.
        progress: called with what is done next.

    Raises:
        CloudError: what went wrong, after everything that was made has been removed.
        CleanupIncomplete: when something could not be removed and nothing else went wrong.
    """
    live = deploy(cloud, plan, archive, confirmation, ledger, progress)  # removes what it made when it fails
    failed = True
    try:
        yield live
        failed = False
    finally:
        removals = cleanup(cloud, ledger, plan.name)
        for removal in removals:
            (progress or _silent)(f"{removal.outcome} {removal.resource} {removal.reason}".rstrip())
        if not failed:  # else the first error is the one to be told; the ledger has the other
            raise_if_left(removals, plan.name)


def deploy(
    cloud: Cloud, plan: Plan, archive: str | os.PathLike, confirmation: Confirmation, ledger: Ledger,
    progress: Progress | None = None,
) -> Live:  # fmt: skip
    """Create everything of a plan and wait until the endpoint is in service; on a failure, remove everything.

    The arguments are those of :func:`deployed`.

    Raises:
        NotConfirmed: when the confirmation is of another plan.
        InvalidPackage: when the archive is not the one of the plan.
        CloudError: what went wrong; nothing is left then but what the ledger says.
    """
    progress = progress or _silent
    if confirmation.digest != plan.digest:
        raise NotConfirmed("nothing was created: another plan was confirmed than this one")
    if plan.region != cloud.region:
        raise InvalidRequest(f"the plan is for {plan.region}, the clients are of {cloud.region}")
    if plan.name in ledger.deployments() and ledger.left(plan.name):
        raise AlreadyExists(f"the ledger says that {plan.name} is there; tear it down first, or make a new plan")
    try:
        found = sha256_file(archive)
    except OSError as error:
        raise InvalidPackage(f"the archive {archive} cannot be read: {error.strerror or error}") from None
    if found != plan.package_sha256:
        raise InvalidPackage(f"{archive} is not the archive of the plan: its sha256 is {found[:12]}...; plan again")
    ends = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=confirmation.max_hours)
    try:
        with sorted_faults("making the stand-in's bucket"):
            ensure_bucket(cloud, plan.bucket)
        for step in plan.steps(ends):
            progress(f"creating {step.resource}")
            _create(cloud, plan, step, archive, ledger)
            if step.resource.kind == "endpoint":
                wait_in_service(cloud, plan)
    except BaseException:  # also when the reader interrupts
        for removal in cleanup(cloud, ledger, plan.name):
            progress(f"{removal.outcome} {removal.resource} {removal.reason}".rstrip())
        raise
    return Live(plan, ends)


def wait_in_service(cloud: Cloud, plan: Plan) -> None:
    """Wait for the endpoint.

    Raises:
        ContainerUnhealthy: when its container does not answer ``/ping``.
        EndpointFailed: for another reason, or when it takes much longer than its start-up limit.
    """
    seconds = plan.startup_s + PROVISION_S
    with sorted_faults(f"waiting for the endpoint {plan.name}"):
        cloud.client("sagemaker").get_waiter("endpoint_in_service").wait(
            EndpointName=plan.name, WaiterConfig={"Delay": cloud.poll_s, "MaxAttempts": int(seconds / cloud.poll_s)}
        )


def _create(cloud: Cloud, plan: Plan, step: Step, archive: str | os.PathLike, ledger: Ledger) -> None:
    if step.operation == "PutObject":
        _must_be_free(cloud, step)
    note = lambda event: ledger.write(plan.name, event, step.resource, cloud.region, cloud.target)  # noqa: E731
    note(INTEND)
    if not step.request:  # the service makes it when the next step is taken
        return
    try:
        with sorted_faults(f"creating the {step.resource}"):
            client = cloud.client(step.service)
            if step.operation == "PutObject":
                client.upload_file(str(archive), step.request["Bucket"], step.request["Key"])
            else:
                getattr(client, _method(step.operation))(**step.request)
    except (AlreadyExists, InvalidRequest) as error:
        if not getattr(error, "retried", False):  # not ours, or never sent: removing it would remove another's
            note(REFUSED)
        raise
    note(CREATED)


def _must_be_free(cloud: Cloud, step: Step) -> None:
    """An archive under that name is another deployment's: the later cleanup would remove it."""
    from botocore.exceptions import ClientError

    with sorted_faults(f"looking for the {step.resource}"):
        try:
            cloud.client("s3").head_object(Bucket=step.request["Bucket"], Key=step.request["Key"])
        except ClientError as error:
            if is_missing(error):
                return
            raise
    raise AlreadyExists(f"the {step.resource} is there, from another deployment; make a plan with another name")


def _method(operation: str) -> str:
    """boto3's name of an operation.

    >>> _method("CreateEndpointConfig")
    'create_endpoint_config'
    """
    from botocore import xform_name

    return xform_name(operation)


def _silent(_: str) -> None:
    pass
