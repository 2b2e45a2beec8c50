"""A handler without a model, archives around it, and faults that strike a chosen call."""

import contextlib
import io
import tarfile
from pathlib import Path

from botocore.exceptions import ClientError, ConnectionClosedError

from finqa_lab.cloud.clients import open_cloud
from finqa_lab.cloud.confirm import Confirmation, confirm
from finqa_lab.cloud.container import Limits
from finqa_lab.cloud.ledger import Ledger
from finqa_lab.cloud.package import Package, inspect_package
from finqa_lab.cloud.plan import Plan, make_plan
from finqa_lab.cloud.scaling import scaling_for

HANDLER = """
import json, time

class Refusal(Exception):
    def __init__(self, status_code, message, phrase):
        super().__init__(message)
        self.status_code, self.message, self.phrase = status_code, message, phrase

def model_fn(model_dir):
    return {"model_dir": model_dir}

def input_fn(body, content_type):
    try:
        return json.loads(body)
    except ValueError:
        raise Refusal(400, "the body is not JSON", "malformed") from None

def predict_fn(request, model):
    text = request["messages"][-1]["content"]
    if text == "no answer":
        raise Refusal(422, "the reply has no answer", "structure")
    if text == "fail":
        raise RuntimeError("secret detail")
    if text.startswith("sleep "):
        time.sleep(float(text.split()[1]))
    return len(request["messages"])

def output_fn(prediction, accept):
    return json.dumps({"answer": prediction})
"""

QUICK = Limits(startup=60.0, ping=2.0, invoke=1.5, grace=2.0)
"""Short enough to wait for, long enough for a machine that has other work."""


def write_archive(path: Path, handler: str = HANDLER, extra: dict[str, bytes] | None = None, without=()) -> Path:
    """A sound archive with another handler, with members added or left out."""
    members = {
        "config.json": b"{}",
        "tokenizer.json": b"{}",
        "code/inference.py": handler.encode(),
        "code/requirements.txt": b"",
    } | (extra or {})
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            if name not in without:
                member = tarfile.TarInfo(name)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    return path


def toy_package(folder: Path, handler: str = HANDLER) -> Package:
    return inspect_package(write_archive(folder / "model.tar.gz", handler))


def toy_plan(package: Package, **changes) -> Plan:
    """With scaling, so that every kind of resource is made."""
    given = {"instance": "ml.g5.xlarge", "region": "us-east-1", "suffix": "toy", "scaling": scaling_for(0.73)} | changes
    return make_plan(package, **given)


def agreed(plan: Plan) -> Confirmation:
    return confirm(plan, yes=True, max_hours=plan.hours, max_usd=1000)


SERVICES = ("s3", "sagemaker", "application-autoscaling", "cloudwatch", "logs")


def listen(cloud, event: str, handler) -> None:
    """Register with every client: one that exists does not hear of what its session learns later."""
    for service in SERVICES:
        cloud.client(service).meta.events.register(event, handler)


class Strike:
    """A fault at the n-th call that changes something: before it is sent, or when its answer is lost."""

    CHANGES = ("Create", "Put", "Register", "Delete", "Deregister")

    def __init__(self, cloud, at: int | None, when: str, error: BaseException | None = None):
        self.at, self.when, self.error, self.calls, self.struck = at, when, error, [], False
        listen(cloud, "before-call.*.*", self.before)
        listen(cloud, "after-call.*.*", self.after)

    def counts(self, model) -> bool:
        return model.name.startswith(self.CHANGES) and model.name not in ("CreateBucket", "CreateLogGroup")

    def before(self, model, context, **_):
        if self.counts(model):
            context[self] = len(self.calls)
            self.calls.append(model.name)
            if self.when == "before" and context[self] == self.at:
                self.struck = True
                raise self.error or ClientError(
                    {"Error": {"Code": "ThrottlingException", "Message": "slow"}}, model.name
                )

    def after(self, model, context, **_):
        if self.when == "after" and self.at is not None and context.get(self) == self.at:
            self.struck = True
            raise self.error or ConnectionClosedError(endpoint_url="http://lost")


@contextlib.contextmanager
def toy_cloud(tmp_path: Path, limits: Limits = QUICK):
    """The stand-in, and a ledger of the test's own."""
    with open_cloud(limits=limits) as cloud:
        yield cloud, Ledger(tmp_path / "ledger.jsonl")
