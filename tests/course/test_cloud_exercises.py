"""What lab 14 asks for is what the library does: each oracle beside the library's own function."""

import io
import random
import tarfile

import pytest

from finqa_lab.cloud.capacity import instances_for_rate
from finqa_lab.cloud.errors import CloudError, InvalidPackage
from finqa_lab.cloud.ledger import EVENTS, Ledger, Resource
from finqa_lab.cloud.package import unpack
from finqa_lab.cloud.replies import raise_for_status, read_answer
from finqa_lab.cloud.scaling import Scaling, target_per_minute
from finqa_lab.cloud.tracking import Policy, Tracker
from finqa_lab.cloud.validation import check_request
from finqa_lab.course import checking

SEEDS = range(20)


def cases(name: str, seed: int) -> list[tuple]:
    item = checking.find(name)
    return [case.args for case in item.cases(random.Random(f"{name}/{seed}"))]


def oracle(name: str):
    return checking.find(name).oracle


@pytest.mark.parametrize("seed", SEEDS)
def test_targets_and_needs_are_the_librarys(seed):
    for service_s, safety in cases("cloud.target_per_minute", seed):
        assert oracle("cloud.target_per_minute")(service_s, safety) == target_per_minute(service_s, safety)
    for rate, seconds, at_once, safety in cases("cloud.instances_needed", seed):
        if rate:
            assert oracle("cloud.instances_needed")(rate, seconds, at_once, safety) == instances_for_rate(
                rate, seconds, at_once, safety
            )


@pytest.mark.parametrize("seed", SEEDS)
def test_a_scale_out_is_the_trackers(seed):
    for instances, metric, target, least, most in cases("cloud.desired_instances", seed):
        if metric > target and instances <= most:
            tracker = Tracker(Policy(target, least, most))
            for _ in range(3):
                tracker.record(metric)
            wanted = oracle("cloud.desired_instances")(instances, metric, target, least, most)
            assert tracker.decide(180.0, instances) == max(instances, wanted)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_request_is_the_plans_and_fits_the_services_model(seed):
    for endpoint, variant, least, most in cases("cloud.register_request", seed):
        request = oracle("cloud.register_request")(endpoint, variant, least, most)
        assert request == Scaling(0.73, 41, least, most).register_request(endpoint, variant)
        check_request("application-autoscaling", "RegisterScalableTarget", request)


@pytest.mark.parametrize("seed", SEEDS)
def test_what_may_exist_is_what_the_ledger_says_is_left(tmp_path, seed):
    for number, (lines,) in enumerate(cases("cloud.may_exist", seed)):
        ledger = Ledger(tmp_path / f"{number}.jsonl")
        for event, name in lines:
            assert event in EVENTS
            ledger.write("d", event, Resource("model", name), "us-east-1", "offline")
        assert oracle("cloud.may_exist")(lines) == {resource.name for resource in ledger.left()}


def test_what_is_refused_the_library_refuses_as_well(tmp_path):
    """The other way round it is stricter: it takes no links at all."""
    kinds = {"file": tarfile.REGTYPE, "folder": tarfile.DIRTYPE, "link": tarfile.SYMTYPE, "device": tarfile.CHRTYPE}
    judged = {True: 0, False: 0}
    for number, (members,) in enumerate(cases("cloud.refused_members", 0)):
        for place, one in enumerate(members):
            path = tmp_path / f"{number}-{place}.tar.gz"
            with tarfile.open(path, "w:gz") as archive:
                member = tarfile.TarInfo(one[0])
                member.type, member.linkname = kinds[one[1]], one[2]
                archive.addfile(member, io.BytesIO())
            refused = bool(oracle("cloud.refused_members")([one]))
            judged[refused] += 1
            with pytest.raises(InvalidPackage) as told:  # a sound one lacks the handler, which is another sentence
                unpack(path, tmp_path / f"{number}-{place}")
            by_name = "leads out" in str(told.value) or "a link or a device" in str(told.value)
            assert by_name == (refused or one[1] == "link"), one
    assert judged[True] >= 5 and judged[False] >= 5


def test_replies_are_read_as_the_library_reads_them():
    """But for prose: a reply that is no object is an error of another kind there, as the server may be another."""
    for (replies,) in cases("cloud.read_reply", 0):
        status, body = replies[0]
        found, asked = oracle("cloud.read_reply")(replies)
        assert asked == 1
        try:
            raise_for_status(status, body)
            expected = read_answer(body)
        except CloudError as error:
            expected = type(error).__name__
        assert found == expected or (found, expected) == ("StructureError", "CloudError"), body
