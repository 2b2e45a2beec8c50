"""Checks of lab 14: what may exist according to a ledger, and what is in an account that should not be."""

import random
from collections.abc import Iterator

from finqa_lab.course.checking import Case, Check, WrongAnswer, register

Line = tuple[str, str]  # event, resource
Found = tuple[str, str]  # resource, the deployment that it belongs to
PREFIX = "finqa-lab-"


def _may_exist(lines: list[Line], **wrong) -> set[str]:
    open_ones: set[str] = set()
    gone: set[str] = set()
    for event, resource in lines:
        if event == "removed" or (event == "refused" and not wrong.get("refused_kept")):
            open_ones.discard(resource)
            gone.add(resource)
        elif event == "failed" and wrong.get("failed_is_gone"):
            open_ones.discard(resource)
        elif event == "intend" and wrong.get("created_only"):
            continue
        elif event == "created" and wrong.get("unanswered_only"):
            open_ones.discard(resource)
        else:
            open_ones.add(resource)
    if wrong.get("never_removed"):
        return {resource for event, resource in lines if event != "refused"}
    if wrong.get("gone_for_ever"):
        return open_ones - gone
    if wrong.get("last_only"):
        return open_ones & {resource for _, resource in lines[-1:]}
    return open_ones


def ledger_cases(rng: random.Random) -> Iterator[Case]:
    """Lines of a ledger: event and resource, in the order in which they were written."""
    yield Case([], note="an empty ledger")
    yield Case([("intend", "model")], note="the program died before it saw an answer")
    yield Case([("intend", "model"), ("created", "model")])
    yield Case([("intend", "model"), ("refused", "model")], note="the name was taken: it is another's")
    yield Case([("intend", "model"), ("created", "model"), ("removed", "model")])
    yield Case([("intend", "model"), ("created", "model"), ("failed", "model")], note="the removal failed")
    yield Case([("intend", "model"), ("removed", "model")], note="it was looked for, and was not there")
    twice = [("intend", "model"), ("created", "model"), ("removed", "model"), ("intend", "model")]
    yield Case(twice, note="removed, and begun again")
    yield Case([("intend", "model"), ("created", "model"), ("intend", "endpoint")], note="two resources")
    for _ in range(5):
        lines = []
        for resource in rng.sample(["archive", "model", "config", "endpoint", "alarm"], 4):
            ends = [[], ["created"], ["refused"], ["created", "removed"], ["created", "failed"]]
            ends += [["created", "failed", "removed"]]
            lines += [("intend", resource), *((event, resource) for event in rng.choice(ends))]
        yield Case(lines)


register(
    Check(
        name="cloud.may_exist",
        task="the resources that may exist in the account, by the lines of a ledger",
        cases=ledger_cases,
        oracle=_may_exist,
        why="what the ledger forgets is billed until somebody reads the invoice.",
        hint="go through the lines: everything that was intended may exist until a line says refused or removed.",
        wrong=[
            WrongAnswer(
                "only what was created",
                lambda lines: _may_exist(lines, created_only=True),
                "between the intention and the answer the service may have carried the request out: it may exist.",
            ),
            WrongAnswer(
                "only what was not answered",
                lambda lines: _may_exist(lines, unanswered_only=True),
                "what was created exists, too, until it is removed.",
            ),
            WrongAnswer(
                "refused counts",
                lambda lines: _may_exist(lines, refused_kept=True),
                "a refused request made nothing; a resource of that name is another's, and must not be removed.",
            ),
            WrongAnswer(
                "a failed removal is a removal",
                lambda lines: _may_exist(lines, failed_is_gone=True),
                "a removal that failed leaves the resource where it was: try again.",
            ),
            WrongAnswer(
                "nothing is ever removed",
                lambda lines: _may_exist(lines, never_removed=True),
                "a line removed ends what an intention began.",
            ),
            WrongAnswer(
                "removed for ever",
                lambda lines: _may_exist(lines, gone_for_ever=True),
                "a name can be used again: go through the lines in their order, the last word counts.",
            ),
            WrongAnswer(
                "the last line alone",
                lambda lines: _may_exist(lines, last_only=True),
                "every resource has a last line of its own.",
            ),
        ],
    )
)


def _orphans(found: list[Found], meant: dict[str, float], now: float, **wrong) -> list[str]:
    left = []
    for resource, deployment in found:
        ours = deployment.startswith(PREFIX)
        if wrong.get("everything"):
            ours = True
        if wrong.get("anywhere"):
            ours = PREFIX in deployment
        if ours and wrong.get("unknown_raises"):
            meant[deployment]
        overdue = meant.get(deployment, 0.0) <= now
        if wrong.get("until_after"):
            overdue = meant.get(deployment, 0.0) < now
        if wrong.get("unknown_only"):
            overdue = deployment not in meant
        if wrong.get("known_only"):
            overdue = deployment in meant and overdue
        if wrong.get("still_allowed"):
            overdue = deployment not in meant or meant[deployment] > now
        if wrong.get("endpoints_only"):
            overdue = overdue and resource.startswith("endpoint ")
        if ours and overdue:
            left.append(deployment if wrong.get("deployments") else resource)
    return left


def orphan_cases(rng: random.Random) -> Iterator[Case]:
    """What is in the account, with its deployment; the deployments that are meant to be there, until when; now."""
    endpoint, logs = ("endpoint a", "finqa-lab-a"), ("log-group a", "finqa-lab-a")
    yield Case([], {}, 1.0, note="an empty account")
    yield Case([endpoint], {}, 1.0, note="nobody knows of it")
    yield Case([endpoint], {"finqa-lab-a": 9.0}, 1.0, note="it is meant to be there")
    yield Case([endpoint], {"finqa-lab-a": 9.0}, 10.0, note="its time is over")
    yield Case([endpoint], {"finqa-lab-a": 9.0}, 9.0, note="its time ends now")
    yield Case([("endpoint shop", "shop")], {}, 1.0, note="another's")
    yield Case([("endpoint x", "not-finqa-lab-x")], {}, 1.0, note="another's, with a name like ours")
    yield Case([endpoint, logs], {"finqa-lab-b": 9.0}, 1.0, note="no endpoint, and still ours")
    for _ in range(5):
        names = [f"finqa-lab-{letter}" for letter in "abc"] + ["shop", "my-finqa-lab-z"]
        found = [(f"{kind} {name}", name) for name in rng.sample(names, 4) for kind in ("endpoint", "model")]
        meant = {name: float(rng.randint(2, 9)) for name in rng.sample(names[:3], 2)}
        yield Case(found, meant, float(rng.randint(1, 10)))


register(
    Check(
        name="cloud.orphans",
        task="what is in the account, is ours, and is not meant to be there now",
        cases=orphan_cases,
        oracle=_orphans,
        why="the ledger lies on one machine; what another machine started is found only in the account.",
        hint="ours are the deployments whose name begins with the prefix; an orphan's is not among those that are "
        "meant to be there, or its time has come.",
        wrong=[
            WrongAnswer(
                "everything in the account",
                lambda *a: _orphans(*a, everything=True),
                "others work in the same account: only names that begin with the prefix are ours.",
            ),
            WrongAnswer(
                "the prefix anywhere",
                lambda *a: _orphans(*a, anywhere=True),
                "a name that has our prefix in the middle is another's: it must begin with it.",
            ),
            WrongAnswer(
                "only what nobody knows",
                lambda *a: _orphans(*a, unknown_only=True),
                "a deployment whose time is over is forgotten as well: compare its end with now.",
            ),
            WrongAnswer(
                "only what is known",
                lambda *a: _orphans(*a, known_only=True),
                "what no list knows of is the worst kind: it has to be found, too.",
            ),
            WrongAnswer(
                "still allowed and removed",
                lambda *a: _orphans(*a, still_allowed=True),
                "that is the other half: before its end a deployment is meant to be there.",
            ),
            WrongAnswer(
                "meant to be there at its end",
                lambda *a: _orphans(*a, until_after=True),
                "a deployment is meant to be there before its end; at that second it is over.",
            ),
            WrongAnswer(
                "a look-up that fails",
                lambda *a: _orphans(*a, unknown_raises=True),
                "a deployment that nobody knows of has no entry: ask with `in` or with .get, it is an orphan.",
            ),
            WrongAnswer(
                "names of deployments",
                lambda *a: _orphans(*a, deployments=True),
                "asked for are the resources, the first part of each pair: they are what has to be removed.",
            ),
            WrongAnswer(
                "endpoints alone",
                lambda *a: _orphans(*a, endpoints_only=True),
                "models, alarms, log groups and scalable targets stay behind as well.",
            ),
        ],
    )
)
