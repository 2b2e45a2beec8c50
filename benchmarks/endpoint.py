"""The local endpoint: latency through the container's contract, capacity, and a day under scaling policies.

    OMP_NUM_THREADS=1 python benchmarks/endpoint.py --out benchmarks/results/endpoint.json

The archive of the course's model runs in its container; questions of the numeric tasks are sent one after another over
``/invocations``, in the two forms that a grammar binds (``{"answer": number}`` and a program). From the measured times
follow the target of the scaling policy and the instances for a load; beside them stand those of the reference, which
says 0.73 seconds a request on a GPU with another model. The simulated day uses the reference's time.
"""

import argparse
import json
import os
import platform
import tempfile
import time
from pathlib import Path

from finqa_lab.cloud.autoscale import Fleet, compare
from finqa_lab.cloud.capacity import instances_for_p95, instances_for_rate, latency
from finqa_lab.cloud.container import Limits, run_container
from finqa_lab.cloud.errors import StructureError
from finqa_lab.cloud.package import build_package
from finqa_lab.cloud.prices import price_of
from finqa_lab.cloud.scaling import target_per_minute
from finqa_lab.cloud.tracking import Policy, fixed
from finqa_lab.cloud.traffic import bursty_day
from finqa_lab.files import write_atomic
from finqa_lab.quantitative.dataset import dataset
from finqa_lab.tune.base import model_folder

REFERENCE_S = 0.73
LOADS = (1.0, 5.0, 20.0)
BUDGET_S = 2.0
INSTANCE, REGION = "ml.g5.xlarge", "us-east-1"
MAX_TOKENS = {"json": 32, "program": 128}


def hardware() -> str:
    """What this runs on, in a line."""
    name = "unknown processor"
    if Path("/proc/cpuinfo").exists():
        models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
        name = models[0].partition(":")[2].strip() if models else name
    return f"{name}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"


def questions(number: int) -> list[bytes]:
    """Bodies with numeric questions of the validation split, without their answers."""
    chosen = [sample for sample in dataset(0).validation if not isinstance(sample.answer, str)][:number]
    return [json.dumps({"messages": sample.messages("number")[:-1]}).encode() for sample in chosen]


def measure(form: str, bodies: list[bytes]) -> dict:
    """Seconds of each request, one after another, through a container of its own."""
    with tempfile.TemporaryDirectory() as folder:
        package = build_package(folder, model_folder("finqa-tiny"), form=form)
        with run_container(package.path, Limits(startup=300)) as container:
            seconds, without = [], 0
            for body in bodies:
                sent = json.dumps(json.loads(body) | {"max_tokens": MAX_TOKENS[form]}).encode()
                begin = time.perf_counter()
                try:
                    container.invoke(sent)
                except StructureError:
                    without += 1
                seconds.append(time.perf_counter() - begin)
            started = container.started_s
    found = latency(seconds)
    return {"form": form, "requests": found.count, "structure_errors": without, "started_s": round(started, 2),
            "mean_s": round(found.mean, 4), "p50_s": round(found.p50, 4), "p95_s": round(found.p95, 4),
            "p99_s": round(found.p99, 4)} | plans(seconds)  # fmt: skip


def plans(seconds: list[float]) -> dict:
    """What follows from measured times: the target, and instances for loads."""
    found = latency(seconds)
    return {
        "target_per_minute": target_per_minute(found.mean),
        "instances": [
            {
                "requests_a_second": load,
                "rule": instances_for_rate(load, found.mean),
                "p95_random": instances_for_p95(load, found, BUDGET_S),
                "p95_least": instances_for_p95(load, found, BUDGET_S, routing="least"),
            }
            for load in LOADS
        ],
    }


def simulated() -> dict:
    """A day under policies, at the reference's time and one price."""
    price = price_of(INSTANCE, REGION)
    half, more, full = (target_per_minute(REFERENCE_S, share) for share in (0.5, 0.7, 1.0))
    policies = {
        "1 instance": fixed(1),
        "10 instances": fixed(10),
        f"target {half} (half)": Policy(half),
        f"target {half}, at least 2": Policy(half, least=2),
        f"target {half}, at least 4": Policy(half, least=4),
        f"target {half}, at most 3": Policy(half, most=3),
        f"target {more} (0.7)": Policy(more),
        f"target {full} (all)": Policy(full),
        "target 1 (mistaken unit)": Policy(1),
    }
    rows, starts = [], []
    for seed in (0, 1, 2):
        day = bursty_day(seed)
        fleet = Fleet((REFERENCE_S,), price.usd_per_hour)
        for name, outcome in compare(day, policies, fleet, seed).items():
            rows.append(
                {"seed": seed, "policy": name, "routing": "random", "requests": outcome.requests} | outcome.row()
            )
        least = Fleet((REFERENCE_S,), price.usd_per_hour, routing="least")
        for name, outcome in compare(day, {f"target {half} (half)": Policy(half)}, least, seed).items():
            rows.append(
                {"seed": seed, "policy": name, "routing": "least", "requests": outcome.requests} | outcome.row()
            )
        for start in (0, 60, 300, 900):
            slow = Fleet((REFERENCE_S,), price.usd_per_hour, start_s=start)
            starts.append(
                {"seed": seed, "start_s": start} | compare(day, {"half": Policy(half)}, slow, seed)["half"].row()
            )
    return {"instance": INSTANCE, "region": REGION, "usd_per_hour": price.usd_per_hour, "price_as_of": str(price.as_of),
            "service_s": REFERENCE_S, "policies": rows, "starts": starts}  # fmt: skip


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=100)
    parser.add_argument("--note", default="", help="kept in the JSON: what else the machine did")
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    report = {"benchmark": "endpoint", "date": time.strftime("%Y-%m-%d"), "hardware": hardware(), "note": chosen.note,
              "threads": os.environ.get("OMP_NUM_THREADS", "not set"), "model": "finqa-tiny", "budget_s": BUDGET_S,
              "load_average_before": round(os.getloadavg()[0], 2)}  # fmt: skip
    bodies = questions(chosen.requests)
    report["measured"] = [measure(form, bodies) for form in ("json", "program")]
    report["load_average_after"] = round(os.getloadavg()[0], 2)
    report["reference"] = {"mean_s": REFERENCE_S} | plans([REFERENCE_S])
    report["day"] = simulated()
    for row in report["measured"]:
        print(
            f"{row['form']:8} p50 {row['p50_s']:.3f} s, p95 {row['p95_s']:.3f} s, mean {row['mean_s']:.3f} s,", end=" "
        )
        print(f"target {row['target_per_minute']} a minute, {row['structure_errors']} of {row['requests']} no answer")
    for row in report["day"]["policies"]:
        print(f"{row['seed']} {row['policy']:26} {row['routing']:7} p95 {row['p95_s']:6.2f} s,", end=" ")
        print(f"dropped {row['dropped_share']:7.2%}, {row['mean_instances']:5.2f} instances, {row['usd']:7.2f} USD")
    if chosen.out:
        print(write_atomic(chosen.out, json.dumps(report, indent=1) + "\n"))


if __name__ == "__main__":
    main()
