"""Checks of lab 14: what a plan costs, and the request that makes an endpoint scalable."""

import math
import random
from collections.abc import Iterator

from finqa_lab.course.checking import Case, Check, WrongAnswer, register


def _costs(usd_per_hour: float, hours: float, least: int, most: int, **wrong) -> tuple[float, float]:
    if wrong.get("whole_hours"):
        hours = math.ceil(hours)
    if wrong.get("a_month"):
        hours = 730
    if wrong.get("an_hour"):
        hours = 1.0
    low, high = usd_per_hour * hours * least, usd_per_hour * hours * most
    if wrong.get("one_instance"):
        low = usd_per_hour * hours
    if wrong.get("middle"):
        low = (low + high) / 2
    if wrong.get("added"):
        high -= low
    if wrong.get("worst_is_least"):
        high = low
    return (high, low) if wrong.get("swapped") else (low, high)


def cost_cases(rng: random.Random) -> Iterator[Case]:
    """Price of an instance for an hour, hours, least and most instances."""
    yield Case(1.5, 1.0, 1, 1, note="one instance for an hour")
    yield Case(1.5, 1.0, 1, 10, note="up to ten")
    yield Case(1.5, 4.0, 2, 3, note="at least two")
    yield Case(2.0, 0.5, 1, 4, note="half an hour: billed by the second")
    for _ in range(4):
        least = rng.randint(1, 3)
        yield Case(rng.randint(2, 30) / 4, rng.randint(1, 30) / 4, least, least + rng.randint(1, 8))


register(
    Check(
        name="cloud.costs",
        task="cost of a plan at its fewest instances, and at its most",
        cases=cost_cases,
        oracle=_costs,
        why="what is confirmed is the second number: a policy that runs wild spends it.",
        hint="price for an hour times hours times instances: once with the fewest, once with the most.",
        wrong=[
            WrongAnswer("the two swapped", lambda *a: _costs(*a, swapped=True), "the fewest instances come first."),
            WrongAnswer(
                "one instance",
                lambda *a: _costs(*a, one_instance=True),
                "the fewest need not be one: multiply by the minimum of the policy.",
            ),
            WrongAnswer(
                "the middle",
                lambda *a: _costs(*a, middle=True),
                "nothing says that the fleet is half grown on average; give the cost at the fewest instances.",
            ),
            WrongAnswer(
                "no scaling in the worst case",
                lambda *a: _costs(*a, worst_is_least=True),
                "the worst case is the maximum of the policy for all the hours.",
            ),
            WrongAnswer(
                "only those that are added",
                lambda *a: _costs(*a, added=True),
                "the worst case pays for all instances, not only for those above the minimum.",
            ),
            WrongAnswer(
                "whole hours",
                lambda *a: _costs(*a, whole_hours=True),
                "the service bills by the second: do not round up.",
            ),
            WrongAnswer(
                "for one hour",
                lambda *a: _costs(*a, an_hour=True),
                "the price is for an hour: multiply by the hours.",
            ),
            WrongAnswer(
                "a month",
                lambda *a: _costs(*a, a_month=True),
                "730 hours are a month; the plan says how long it runs.",
            ),
        ],
    )
)


def _register_request(endpoint: str, variant: str, least: int, most: int, **wrong) -> dict:
    resource = f"endpoint/{endpoint}/variant/{variant}"
    if wrong.get("no_variant"):
        resource = f"endpoint/{endpoint}"
    if wrong.get("exchanged"):
        resource = f"endpoint/{variant}/variant/{endpoint}"
    if wrong.get("slash"):
        resource = "/" + resource
    dimension = "sagemaker:variant:DesiredInstanceCount"
    if wrong.get("endpoint_dimension"):
        dimension = "sagemaker:endpoint:DesiredInstanceCount"
    if wrong.get("copies"):
        dimension = "sagemaker:inference-component:DesiredCopyCount"
    request = {
        "ServiceNamespace": "aws:sagemaker" if wrong.get("namespace") else "sagemaker",
        "ResourceId": resource,
        "ScalableDimension": dimension,
        "MinCapacity": least,
        "MaxCapacity": most,
    }
    if wrong.get("crossed"):
        request |= {"MinCapacity": most, "MaxCapacity": least}
    if wrong.get("at_least_one"):
        request["MinCapacity"] = 1
    if wrong.get("as_text"):
        request |= {"MinCapacity": str(least), "MaxCapacity": str(most)}
    return request


def request_cases(rng: random.Random) -> Iterator[Case]:
    """Endpoint, variant, least and most instances."""
    yield Case("finqa", "AllTraffic", 1, 10)
    yield Case("finqa", "AllTraffic", 2, 4, note="at least two")
    for _ in range(3):
        least = rng.randint(2, 4)
        yield Case(f"finqa-{rng.randint(1, 99)}", rng.choice(["AllTraffic", "blue"]), least, least + rng.randint(1, 9))


register(
    Check(
        name="cloud.register_request",
        task="the request that puts a variant of an endpoint under Application Auto Scaling",
        cases=request_cases,
        oracle=_register_request,
        why="a wrong name is refused in the best case; in the worst the request is taken and nothing ever scales.",
        hint="ServiceNamespace sagemaker, ResourceId endpoint/NAME/variant/VARIANT, ScalableDimension "
        "sagemaker:variant:DesiredInstanceCount, MinCapacity, MaxCapacity.",
        wrong=[
            WrongAnswer(
                "a dimension of the endpoint",
                lambda *a: _register_request(*a, endpoint_dimension=True),
                "sagemaker:endpoint:DesiredInstanceCount does not exist: it is the variant that has instances.",
            ),
            WrongAnswer(
                "copies of a component",
                lambda *a: _register_request(*a, copies=True),
                "DesiredCopyCount is of inference components; a variant has a DesiredInstanceCount.",
            ),
            WrongAnswer(
                "no variant in the id",
                lambda *a: _register_request(*a, no_variant=True),
                "an endpoint may have several variants, so the id goes on: endpoint/NAME/variant/VARIANT.",
            ),
            WrongAnswer(
                "endpoint and variant exchanged",
                lambda *a: _register_request(*a, exchanged=True),
                "the endpoint's name comes behind endpoint/, the variant's behind variant/.",
            ),
            WrongAnswer(
                "a slash in front",
                lambda *a: _register_request(*a, slash=True),
                "the id is no path of a file: it begins with endpoint/.",
            ),
            WrongAnswer(
                "another namespace",
                lambda *a: _register_request(*a, namespace=True),
                "the namespace is the word sagemaker alone; Service Quotas and IAM spell theirs in other ways.",
            ),
            WrongAnswer(
                "minimum and maximum crossed",
                lambda *a: _register_request(*a, crossed=True),
                "MinCapacity is the fewest, MaxCapacity the most; some stand-ins take them crossed.",
            ),
            WrongAnswer(
                "bounds as text",
                lambda *a: _register_request(*a, as_text=True),
                "the bounds are whole numbers, not text; botocore's client refuses text before it sends.",
            ),
            WrongAnswer(
                "always at least one",
                lambda *a: _register_request(*a, at_least_one=True),
                "the minimum is an argument: one instance may be too few while others start.",
            ),
        ],
    )
)
