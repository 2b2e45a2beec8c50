"""``finqa-lab cloud``: a model on Amazon SageMaker, or on its stand-in here; dry unless told otherwise."""

import contextlib
import json
import signal
import sys
import threading
from pathlib import Path

EXAMPLE = '{"messages": [{"role": "user", "content": "What is 2 + 2?"}]}'


def add_parser(subparsers) -> None:
    """Attach the command and its actions."""
    parser = subparsers.add_parser("cloud", help="a model on SageMaker: plan, price, deploy, invoke, tear down")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    place, planned = _shared_options()

    add = lambda name, text, parents: actions.add_parser(name, help=text, description=text, parents=parents)  # noqa: E731
    package = add("package", "build model.tar.gz: model, adapter, handler, library", [])
    package.add_argument("model", help="finqa-tiny, or a folder in the Hugging Face layout")
    package.add_argument("--adapter", type=Path, metavar="DIR", help="attached when the handler starts")
    package.add_argument(
        "--form", choices=("json", "program", "free"), default="json", help="of replies (default json)"
    )
    package.add_argument("--out", type=Path, default=Path("model.tar.gz"), metavar="FILE", help="default model.tar.gz")
    package.set_defaults(run=_package)
    plan = add("plan", "show what would be created and what it costs; creates nothing", [place, planned])
    plan.add_argument("--json", action="store_true", help="all of it, with every request")
    plan.set_defaults(run=_plan)
    deploy = add("deploy", "carry a plan out, ask, and remove all of it again", [place, planned])
    deploy.add_argument("--yes", action="store_true", help="act; without it the plan is shown")
    deploy.add_argument("--max-hours", type=float, metavar="H", help="it may run so long")
    deploy.add_argument("--max-usd", type=float, metavar="D", help="it may cost so much with the most instances")
    deploy.add_argument("--ask", action="append", default=[], metavar="TEXT", help="a question, or JSON with messages")
    deploy.add_argument("--keep", action="store_true", help="leave it running; needs a service that goes on")
    deploy.set_defaults(run=_deploy)
    invoke = add("invoke", "ask an endpoint, or offline an archive in a container here", [place])
    invoke.add_argument("endpoint", help="name of an endpoint; offline also a model.tar.gz")
    invoke.add_argument("question", help=f"a question, or JSON such as {EXAMPLE}")
    invoke.add_argument("--max-tokens", type=int, default=128, help="of the reply (default 128)")
    invoke.set_defaults(run=_invoke)
    observe = add("observe", "the endpoint's own metrics, minute by minute", [place])
    observe.add_argument("endpoint", help="name of the endpoint")
    observe.add_argument("--minutes", type=int, default=60, help="to look back (default 60)")
    observe.set_defaults(run=_observe)
    orphans = add("orphans", "find what is left of our deployments; exit status 1 if anything is", [place])
    orphans.add_argument(
        "--bucket", action="append", default=[], help="look for archives there too, besides the buckets of the ledger"
    )
    orphans.add_argument("--json", action="store_true", help="print JSON")
    orphans.set_defaults(run=_orphans)
    teardown = add("teardown", "remove a deployment; goes on where an earlier try stopped", [place])
    teardown.add_argument("deployment", nargs="?", help="its name; default: what the ledger says is left")
    teardown.set_defaults(run=_teardown)
    simulate = add("simulate", "a bursty day under scaling policies: instances, p95, dropped, cost", [])
    simulate.add_argument(
        "--service", type=float, nargs="+", default=[0.73], metavar="S", help="measured seconds a request"
    )
    simulate.add_argument("--instance", default="ml.g5.xlarge", help="for its price (default ml.g5.xlarge)")
    simulate.add_argument("--region", default="us-east-1", help="for its price (default us-east-1)")
    simulate.add_argument("--night", type=float, default=0.3, help="requests a second at the lowest (default 0.3)")
    simulate.add_argument("--noon", type=float, default=4.0, help="requests a second at the highest (default 4)")
    simulate.add_argument("--bursts", type=int, default=6, help="in the day (default 6)")
    simulate.add_argument("--start", type=float, default=300.0, help="seconds until an instance serves (default 300)")
    simulate.add_argument("--most", type=int, default=10, help="instances (default 10)")
    simulate.add_argument("--routing", choices=("random", "least"), default="random", help="default random")
    simulate.add_argument("--seed", type=int, default=0, help="of the day (default 0)")
    simulate.add_argument("--json", action="store_true", help="print JSON")
    simulate.set_defaults(run=_simulate)


def _shared_options():
    """Options of several actions: where, and what is planned."""
    import argparse

    place = argparse.ArgumentParser(add_help=False)
    place.add_argument(
        "--target", choices=("offline", "aws"), default="offline", help="default offline: no account, no cost"
    )
    place.add_argument("--region", default="us-east-1", help="default us-east-1")
    place.add_argument("--ledger", type=Path, metavar="FILE", help="default in the course's home")
    place.add_argument("--stand-in", metavar="URL", help="offline: a moto server that runs here already")
    planned = argparse.ArgumentParser(add_help=False)
    planned.add_argument("archive", type=Path, help="model.tar.gz of `finqa-lab cloud package`")
    planned.add_argument("--instance", default="ml.g5.xlarge", help="default ml.g5.xlarge")
    planned.add_argument("--server", choices=("vllm", "tgi", "handler"), default="vllm", help="default vllm")
    planned.add_argument("--server-version", metavar="V", help="of the server; default: a pinned one")
    planned.add_argument("--role", metavar="ARN", help="that the endpoint runs as; needed for aws")
    planned.add_argument("--bucket", default="finqa-lab-models", help="for the archive; it must exist in an account")
    planned.add_argument("--hours", type=float, default=1.0, help="that it will run at most (default 1)")
    planned.add_argument("--service-time", type=float, metavar="S", help="measured seconds a request; turns scaling on")
    planned.add_argument("--safety", type=float, default=0.5, help="share of the capacity that is used (default 0.5)")
    planned.add_argument("--least", type=int, default=1, help="instances (default 1)")
    planned.add_argument("--most", type=int, default=10, help="instances (default 10)")
    planned.add_argument("--owner", default="course", help="for the tags")
    planned.add_argument("--name", metavar="END", help="end of the name; default random")
    return place, planned


def _package(args) -> int:
    from finqa_lab.cloud.package import build_package
    from finqa_lab.tune.base import model_folder

    package = build_package(args.out, model_folder(args.model), args.adapter, args.form)
    print(f"{package.path}: {package.bytes:,} bytes, {len(package.members)} files, sha256 {package.sha256}")
    return 0


def _make_plan(args):
    from finqa_lab.cloud.errors import InvalidRequest
    from finqa_lab.cloud.package import inspect_package
    from finqa_lab.cloud.plan import OFFLINE_ROLE, make_plan
    from finqa_lab.cloud.scaling import scaling_for

    if args.target == "aws" and not args.role:
        raise InvalidRequest("an endpoint in an account needs --role ARN, and --bucket with a bucket that exists")
    scaling = None
    if args.service_time is not None:
        scaling = scaling_for(args.service_time, args.safety, least=args.least, most=args.most)
    return make_plan(
        inspect_package(args.archive), instance=args.instance, region=args.region, role=args.role or OFFLINE_ROLE,
        bucket=args.bucket, server=args.server, version=args.server_version, hours=args.hours, scaling=scaling,
        owner=args.owner, suffix=args.name,
    )  # fmt: skip


def _plan(args) -> int:
    import datetime

    plan = _make_plan(args)
    print(plan.as_json() if args.json else plan.as_text(datetime.date.today()))
    return 0


def _deploy(args) -> int:
    import datetime

    from finqa_lab.cloud.confirm import confirm
    from finqa_lab.cloud.deploy import deploy, deployed
    from finqa_lab.cloud.errors import NotConfirmed
    from finqa_lab.cloud.ledger import Ledger

    plan = _make_plan(args)
    print(plan.as_text(datetime.date.today()))
    confirmation = confirm(plan, yes=args.yes, max_hours=args.max_hours, max_usd=args.max_usd)
    if args.keep and args.target == "offline" and not args.stand_in:
        raise NotConfirmed("--keep offline needs --stand-in URL: the stand-in of this command ends with it")
    bodies, ledger = [_body(text) for text in args.ask], Ledger(args.ledger)
    say = lambda text: print(text, flush=True)  # noqa: E731
    with _signals_unwind(), _open(args) as cloud:
        if args.keep:
            live = deploy(cloud, plan, args.archive, confirmation, ledger, say)
            say(f"{live.name} is in service until {live.ends:%Y-%m-%d %H:%M} UTC; then, or before:")
            say(f"finqa-lab cloud teardown {live.name} --target {args.target} --region {args.region}")
            return _ask_all(cloud, live.name, bodies)
        with deployed(cloud, plan, args.archive, confirmation, ledger, say) as live:
            return _ask_all(cloud, live.name, bodies)


def _invoke(args) -> int:
    from finqa_lab.cloud.container import run_container
    from finqa_lab.cloud.replies import read_answer

    body = _body(args.question, args.max_tokens)
    if args.target == "offline" and args.endpoint.endswith(".tar.gz"):
        with run_container(args.endpoint) as container:
            print(json.dumps({"answer": read_answer(container.invoke(body))}))
        return 0
    with _open(args) as cloud:
        return _ask_all(cloud, args.endpoint, [body])


def _ask_all(cloud, endpoint: str, bodies: list[bytes]) -> int:
    """Ask each; 1 when a reply had no answer in it."""
    from finqa_lab.cloud.errors import StructureError
    from finqa_lab.cloud.invoke import invoke
    from finqa_lab.cloud.replies import read_answer

    without = 0
    for body in bodies:
        try:
            print(json.dumps({"answer": read_answer(invoke(cloud, endpoint, body))}), flush=True)
        except StructureError as error:
            without += 1
            print(f"finqa-lab: {error}", file=sys.stderr)
    return 1 if without else 0


def _observe(args) -> int:
    from finqa_lab.cloud.observe import SERIES, observe

    with _open(args) as cloud:
        minutes = observe(cloud, args.endpoint, args.minutes)
    print("  ".join(["minute", *(name for name, *_ in SERIES)]))
    for minute in minutes:
        print("  ".join([f"{minute.time:%H:%M}", *("-" if v is None else f"{v:g}" for v in minute.figures.values())]))
    return 0


def _orphans(args) -> int:
    import datetime

    from finqa_lab.cloud.ledger import Ledger
    from finqa_lab.cloud.orphans import find_orphans

    now = datetime.datetime.now(datetime.UTC)
    with _open(args) as cloud:
        found = find_orphans(cloud, Ledger(args.ledger), buckets=args.bucket)
    if args.json:
        values = [{"kind": one.resource.kind, "name": one.resource.name, "recorded": one.recorded, "owner": one.owner,
                   "ends": one.ends} for one in found]  # fmt: skip
        print(json.dumps({"target": args.target, "region": args.region, "orphans": values}, indent=1))
        return 1 if found else 0
    for one in found:
        facts = [f"owner {one.owner}"] * bool(one.owner) + [f"ends {one.ends}"] * bool(one.ends)
        facts += ["OVERDUE"] * one.overdue(now)
        facts.append("in the ledger" if one.recorded else "NOT in the ledger")
        print(f"{one.resource}  ({', '.join(facts)})")
    print(
        f"{len(found)} left in {args.region} ({args.target})"
        if found
        else f"nothing is left in {args.region} ({args.target})"
    )
    return 1 if found else 0


def _teardown(args) -> int:
    from finqa_lab.cloud.errors import NothingToTearDown
    from finqa_lab.cloud.ledger import Ledger
    from finqa_lab.cloud.teardown import tear_down

    ledger = Ledger(args.ledger)
    names = [args.deployment] if args.deployment else [
        name for name in ledger.deployments()
        if ledger.left(name) and (ledger.facts(name).region, ledger.facts(name).target) == (args.region, args.target)
    ]  # fmt: skip
    if not names:
        raise NothingToTearDown(f"the ledger {ledger.path} has nothing left in {args.region} ({args.target})")
    with _open(args) as cloud:
        for name in names:
            for removal in tear_down(cloud, ledger, name):
                print(f"{removal.outcome} {removal.resource}")
    return 0


def _simulate(args) -> int:
    from finqa_lab.cloud.autoscale import Fleet, compare
    from finqa_lab.cloud.capacity import latency
    from finqa_lab.cloud.prices import price_of
    from finqa_lab.cloud.scaling import target_per_minute
    from finqa_lab.cloud.tracking import Policy, fixed
    from finqa_lab.cloud.traffic import bursty_day

    price, most = price_of(args.instance, args.region), args.most
    fleet = Fleet(tuple(args.service), price.usd_per_hour, start_s=args.start, routing=args.routing)
    half, most_of, full = (target_per_minute(latency(args.service).mean, share) for share in (0.5, 0.7, 1.0))
    policies = {
        "1 instance": fixed(1),
        f"{most} instances": fixed(most),
        f"target {half} (half)": Policy(half, most=most),
        f"target {half}, at least 2": Policy(half, least=min(2, most), most=most),
        f"target {half}, at most 3": Policy(half, most=min(3, most)),
        f"target {most_of} (0.7)": Policy(most_of, most=most),
        f"target {full} (all)": Policy(full, most=most),
        "target 1 (mistaken unit)": Policy(1, most=most),
    }
    day = bursty_day(args.seed, args.night, args.noon, args.bursts)
    rows = {name: outcome.row() for name, outcome in compare(day, policies, fleet, args.seed).items()}
    if args.json:
        print(json.dumps({"requests": len(day.arrivals), "bursts": day.bursts, "policies": rows}, indent=1))
        return 0
    print(f"{len(day.arrivals):,} requests, {len(day.bursts)} bursts, {price.usd_per_hour} USD an hour ({price.as_of})")
    print(f"{'policy':28}{'p50 s':>8}{'p95 s':>8}{'dropped':>10}{'instances':>11}{'changes':>9}{'USD':>9}")
    for name, row in rows.items():
        print(f"{name:28}{row['p50_s']:>8.2f}{row['p95_s']:>8.2f}{row['dropped_share']:>10.2%}{row['mean_instances']:>11.2f}"
              f"{row['changes']:>9}{row['usd']:>9.2f}")  # fmt: skip
    return 0


@contextlib.contextmanager
def _signals_unwind():
    """Let SIGTERM and a closed terminal end the block as Ctrl-C does; by default they end the process at once."""

    def end(number, _):
        signal.signal(number, signal.SIG_IGN)  # a second one does not stop the removal
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    chosen = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {number: signal.signal(number, end) for number in chosen}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _open(args):
    from finqa_lab.cloud.clients import open_cloud

    return open_cloud(args.target, args.region, stand_in=args.stand_in)


def _body(text: str, max_tokens: int = 128) -> bytes:
    """A request body from a question, or from JSON with messages."""
    from finqa_lab.cloud.errors import MalformedRequest

    if not text.lstrip().startswith("{"):
        messages = [{"role": "user", "content": text}]
        return json.dumps({"messages": messages, "max_tokens": max_tokens, "temperature": 0}).encode()
    try:
        json.loads(text)
    except ValueError as error:
        raise MalformedRequest(f"the question begins like JSON and is none: {error}") from None
    return text.encode()
