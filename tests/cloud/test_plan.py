"""Plans, prices, the ledger, and what botocore raises as types."""

import datetime
import json

import botocore.exceptions as known
import pytest
import yaml

from finqa_lab import files
from finqa_lab.cloud import errors, prices
from finqa_lab.cloud.faults import is_missing, sort_fault
from finqa_lab.cloud.images import serving_image
from finqa_lab.cloud.ledger import CREATED, FAILED, INTEND, REFUSED, REMOVED, Ledger, Resource
from finqa_lab.cloud.plan import OFFLINE_ROLE
from finqa_lab.cloud.replies import read_answer
from finqa_lab.errors import CourseError
from tests.cloud.toys import toy_package, toy_plan

DAY = datetime.date(2026, 11, 21)


def test_a_plan_is_a_value_and_its_json_says_all(tmp_path):
    package = toy_package(tmp_path)
    plan, same = toy_plan(package), toy_plan(package)
    assert plan == same and plan.digest == same.digest and plan.digest != toy_plan(package, hours=2).digest
    values = json.loads(plan.as_json())
    assert (
        values["package_sha256"] == package.sha256 and values["worst_usd"] == 14.08 and values["expected_usd"] == 1.408
    )
    requests = {step["operation"]: step["request"] for step in values["steps"]}
    policy = requests["application-autoscaling:PutScalingPolicy"]["TargetTrackingScalingPolicyConfiguration"]
    assert policy["TargetValue"] == 41.0
    with pytest.raises(AttributeError):
        plan.hours = 9


def test_a_plan_shows_price_day_source_and_worst_case(tmp_path):
    text = toy_plan(toy_package(tmp_path)).as_text(DAY)
    for part in ("1.408 USD an hour", "as of 2026-11-21, 0 days ago", "source: ", "1.41 USD for 1 h",
                 "14.08 USD at the most", "41 calls a minute",
                 "scalable-target endpoint/finqa-lab-toy/variant/AllTraffic"):  # fmt: skip
        assert part in text
    assert "WARNING" not in text
    assert "older than 90 days" in toy_plan(toy_package(tmp_path)).as_text(DAY + datetime.timedelta(days=91))


def test_a_plan_without_a_name_gets_one_of_its_own(tmp_path):
    package = toy_package(tmp_path)
    first, second = toy_plan(package, suffix=None), toy_plan(package, suffix=None)
    assert first.name != second.name and first.name.startswith("finqa-lab-")


@pytest.mark.parametrize(
    "changes, kind, told",
    [
        (
            {"instance": "ml.g5.xlarge", "region": "eu-west-1"},
            errors.InstanceUnavailable,
            "in us-east-1, not in eu-west-1",
        ),
        ({"instance": "ml.p5.48xlarge"}, errors.InstanceUnavailable, "no ml.p5.48xlarge; in us-east-1 it has ml.g4dn"),
        ({"suffix": "A B"}, errors.InvalidRequest, "small letters"),
        ({"suffix": "a" * 32}, errors.InvalidRequest, "31 at most"),
        ({"suffix": "../x"}, errors.InvalidRequest, "small letters"),
        ({"hours": 0}, errors.InvalidRequest, "0 hours"),
        ({"hours": float("nan")}, errors.InvalidRequest, "nan hours"),
        ({"role": "me"}, errors.InvalidRequest, "ExecutionRoleArn"),
        ({"bucket": "a/b"}, errors.InvalidRequest, "bucket"),
        ({"startup_s": 30}, errors.InvalidRequest, "from 60 to 3600"),
        ({"server": "triton"}, errors.CloudError, "choose one of vllm, tgi, handler"),
        ({"version": "9.9"}, errors.CloudError, "lists no huggingface-vllm 9.9"),
    ],
)
def test_a_plan_that_cannot_work_is_refused_before_anything_is_sent(tmp_path, changes, kind, told):
    with pytest.raises(kind, match=told):
        toy_plan(toy_package(tmp_path), **changes)


def test_the_images_are_those_of_the_sdk():
    """Looked up offline; the tags are the SDK's."""
    vllm, tgi = (serving_image(server, "us-east-1", "ml.g5.xlarge").uri for server in ("vllm", "tgi"))
    assert "/huggingface-vllm:0.21.0-" in vllm and "tgi3.0.1" in tgi
    assert "pytorch-inference:2.6.0-cpu" in serving_image("handler", "us-east-1", "ml.m5.xlarge").uri
    with pytest.raises(errors.CloudError, match="Unsupported region: mars-1"):
        serving_image("vllm", "mars-1", "ml.g5.xlarge")


def test_looking_up_prices_never_guesses():
    price = prices.price_of("ml.g5.xlarge", "us-east-1")
    assert price.cost(hours=24, instances=10) == pytest.approx(337.92) and price.age_days(DAY) == 0
    for entry in prices.price_table():
        assert entry.source and entry.as_of <= DAY and entry.region


def test_a_price_table_with_a_hole_is_refused(tmp_path, monkeypatch):
    good = {"instance": "a", "region": "b", "usd_per_hour": 1.0, "as_of": DAY, "source": "c"}
    monkeypatch.setenv("FINQA_LAB_DATA", str(tmp_path))
    for change in ({"usd_per_hour": 0}, {"usd_per_hour": "1"}, {"source": ""}, {"as_of": "today"}, {"colour": 1}):
        files.register_data(prices.PRICES_FILE, yaml.safe_dump({"prices": [good | change]}).encode(), "x")
        with pytest.raises(CourseError, match="price"):
            prices.price_table()
    files.register_data(prices.PRICES_FILE, yaml.safe_dump({"prices": [good]}).encode(), "x")
    assert prices.price_of("a", "b").usd_per_hour == 1.0


def test_no_price_stands_in_code():
    digits = [str(entry.usd_per_hour) for entry in prices.price_table()]
    for path in (files.REPOSITORY / "finqa_lab" / "cloud").glob("*.py"):
        text = path.read_text().replace('>>> price_of("ml.g5.xlarge", "us-east-1").cost(hours=2)\n    2.816', "")
        assert not [number for number in digits if number in text and len(number) > 4], path


def test_the_ledger_knows_what_may_exist(tmp_path):
    ledger = Ledger(tmp_path / "deep" / "ledger.jsonl")
    model, endpoint, other = Resource("model", "m"), Resource("endpoint", "e"), Resource("model", "o")
    for event, resource in ((INTEND, model), (CREATED, model), (INTEND, endpoint), (INTEND, other), (REFUSED, other)):
        ledger.write("d", event, resource, "us-east-1", "offline")
    assert ledger.left("d") == [endpoint, model] and ledger.left("x") == []
    ledger.write("d", FAILED, endpoint, "us-east-1", "offline", "AKIAABCDEFGHIJKLMNOP")
    ledger.write("d", REMOVED, model, "us-east-1", "offline")
    assert ledger.left() == [endpoint]
    assert "AKIA" not in ledger.path.read_text() and (ledger.path.stat().st_mode & 0o077) == 0
    ledger.write("d", INTEND, model, "us-east-1", "offline")  # the same name again
    assert set(ledger.left()) == {model, endpoint}


def test_a_line_that_a_crash_cut_off_is_skipped_and_the_next_one_stands(tmp_path):
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.write("d", INTEND, Resource("model", "m"), "r", "offline")
    with open(ledger.path, "a") as stream:
        stream.write('{"time": "2026", "deploy')
    ledger.write("d", INTEND, Resource("endpoint", "e"), "r", "offline")
    assert [line.resource.name for line in ledger.lines()] == ["m", "e"]


def client_error(code: str, message: str = "") -> known.ClientError:
    return known.ClientError({"Error": {"Code": code, "Message": message}}, "X")


@pytest.mark.parametrize(
    "error, kind",
    [
        (client_error("ExpiredToken"), errors.CredentialsExpired),
        (client_error("RequestExpired"), errors.CredentialsExpired),
        (client_error("InvalidClientTokenId"), errors.CredentialsProblem),
        (known.NoCredentialsError(), errors.CredentialsProblem),
        (known.ProfileNotFound(profile="x"), errors.CredentialsProblem),
        (known.UnauthorizedSSOTokenError(), errors.CredentialsExpired),
        (known.TokenRetrievalError(provider="sso", error_msg="x"), errors.CredentialsExpired),
        (client_error("AccessDenied"), errors.AccessRefused),
        (client_error("ResourceLimitExceeded", "limit is 0"), errors.QuotaExceeded),
        (client_error("ValidationException", "Cannot create already existing model"), errors.AlreadyExists),
        (client_error("ValidationException", "Could not find endpoint"), errors.NoSuchEndpoint),
        (client_error("ValidationException", "InstanceType ml.x is not supported in this region"),
         errors.InstanceUnavailable),
        (client_error("InsufficientCapacityError", "Insufficient capacity"), errors.InstanceUnavailable),
        (known.ReadTimeoutError(endpoint_url="http://x"), errors.InvokeTimeout),
        (known.EndpointConnectionError(endpoint_url="http://x"), errors.CloudError),
        (client_error("InternalFailure", "oops"), errors.CloudError),
    ],
)  # fmt: skip
def test_what_botocore_raises_has_a_type(error, kind):
    assert type(sort_fault(error, "invoking x")) is kind


def model_error(status: int, message: str) -> known.ClientError:
    response = {
        "Error": {"Code": "ModelError", "Message": "m"},
        "OriginalStatusCode": status,
        "OriginalMessage": message,
    }
    return known.ClientError(response, "InvokeEndpoint")


@pytest.mark.parametrize(
    "status, message, kind",
    [
        (400, '{"error": {"type": "malformed", "message": "no JSON"}}', errors.MalformedRequest),
        (422, "the reply has no answer", errors.StructureError),
        (500, "RuntimeError", errors.ModelFailed),
        (0, "Your invocation timed out while waiting for a response from container primary.", errors.InvokeTimeout),
    ],
)
def test_a_containers_refusal_keeps_its_type_through_the_service(status, message, kind):
    assert type(sort_fault(model_error(status, message), "invoking x")) is kind


def test_an_error_of_our_own_is_not_swallowed():
    assert sort_fault(ZeroDivisionError(), "x") is None and not is_missing(ZeroDivisionError())
    assert is_missing(client_error("ValidationException", "Could not find model 'm'"))
    assert not is_missing(client_error("ValidationException", "bad name"))
    assert not is_missing(client_error("AccessDenied", "does not exist or no permission"))


@pytest.mark.parametrize(
    "secret",
    ["AKIAIOSFODNN7EXAMPLE", "ASIAIOSFODNN7EXAMPLE", "aws_secret_access_key=abcd1234efgh", "SessionToken: abcd1234",
     "hf_abcdefghijklmnop", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"],
)  # fmt: skip
def test_no_error_shows_a_secret(secret):
    told = str(errors.CloudError(f"it failed with {secret} for {OFFLINE_ROLE}"))
    assert secret not in told and secret[-8:] not in told and OFFLINE_ROLE in told


def test_digests_and_names_are_no_secrets():
    text = f"sha256 {'a1' * 32}, commit {'0123456789' * 4}, s3://finqa-lab-models/finqa-lab-toy/model.tar.gz"
    assert errors.redact(text) == text


@pytest.mark.parametrize(
    "payload, answer",
    [
        (b'{"answer": 3}', 3.0),
        (b'{"choices": [{"message": {"content": "{\\"answer\\": 0.5}"}}]}', 0.5),
        (b'{"answer": true}', errors.CloudError),
        (b'{"answer": NaN}', errors.CloudError),
        (b'{"choices": [{"message": {"content": "I think so"}}]}', errors.StructureError),
        (b'{"choices": [{"message": {"content": null}}]}', errors.StructureError),
        (b'{"choices": []}', errors.CloudError),
        (b"[1]", errors.CloudError),
        (b"<html>", errors.CloudError),
    ],
)
def test_replies_are_read_or_refused(payload, answer):
    if isinstance(answer, float):
        assert read_answer(payload) == answer
    else:
        with pytest.raises(answer):
            read_answer(payload)
