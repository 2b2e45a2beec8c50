"""Distributed training, measured on this machine: speed on one and two ranks, bytes, memory kept, a fitted cost model.

    OMP_NUM_THREADS=1 python benchmarks/distributed.py [--steps 8] [--out benchmarks/results/distributed.json]
    python benchmarks/distributed.py --device cuda     # two GPUs; the loopback counter then says nothing

Random weights in the shape of finqa-tiny: speed does not depend on their values. Each rank computes with one thread.
A step is two micro-batches, one a rank where there are two; the cases take turns, and a case's seconds are the least of
``--steps`` steps behind a first one that is not timed (others may use the machine; the median is in the JSON). Bytes of
a rank are predicted from the shapes, counted where torch hands tensors to the process group, and read from the loopback
interface, over which gloo sends (all traffic of the machine is in it; *by gloo* is the prediction with its way of
summing). The cost model is fitted to the shorter steps of each method and asked for the longest. About two minutes on
two cores.
"""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

import torch

from finqa_lab.course.report import hardware
from finqa_lab.errors import CourseError
from finqa_lab.files import write_atomic
from finqa_lab.nn.config import DecoderConfig
from finqa_lab.nn.transformer import Decoder
from finqa_lab.tune.distributed.launch import launch
from finqa_lab.tune.distributed.planning import table
from finqa_lab.tune.distributed.probe import Case, Order, loopback_bytes
from finqa_lab.tune.distributed.ranks import Ranks, open_ranks
from finqa_lab.tune.distributed.scaling import Measurement, fit
from finqa_lab.tune.distributed.volume import Volume
from finqa_lab.tune.lora import LoRAConfig, add_adapter
from finqa_lab.tune.memory import kept_bytes
from finqa_lab.tune.recompute import recomputed_blocks

CONFIG = DecoderConfig.llama(2048, 256, 6, 4, 704, 1024, kv_heads=2, tied=True)
LENGTH = 128
ROWS = (1, 3, 6)
"""Windows of a micro-batch: the shorter steps, to which the cost model is fitted, and the longest."""


def make(method: str) -> Decoder:
    """A model with random weights, all or an adapter of rank 8 to be trained."""
    model = Decoder(CONFIG)
    if method == "lora":
        add_adapter(model, LoRAConfig(rank=8))
    return model


def all_cases(ranks: Ranks, steps: int) -> list[dict]:
    """Every strategy and method in all lengths, taking turns."""
    strategies = ("ddp", "fsdp") if ranks.ranks > 1 else ("ddp",)
    orders = [
        Order(strategy, method, rows, LENGTH) for rows in ROWS for method in ("lora", "full") for strategy in strategies
    ]
    cases = [Case(ranks, order.prepare(Decoder(CONFIG)), order) for order in orders]
    for _ in range(steps):
        for case in cases:
            case.measure()
    return [_row(case) for case in cases]


def _row(case: Case) -> dict:
    """What the JSON keeps of a case."""
    found = case.row()
    return {
        "ranks": found["ranks"],
        "strategy": found["strategy"] if found["ranks"] > 1 else "one process",
        "method": found["method"],
        "tokens": found["tokens"],
        "seconds": round(found["seconds"], 4),
        "median_seconds": round(found["median_seconds"], 4),
        "tokens_a_second": round(found["tokens"] / found["seconds"], 1),
        "numbers_held_by_rank_0": found["held"],
        "floor_of_rank_0": sum(found["floor"].values()),
        "predicted_bytes": found["predicted"],
        "predicted_bytes_by_gloo": found["predicted_by_gloo"],
        "predicted_exchanges": found["predicted_exchanges"],
        "counted_bytes": found["counted"],
        "counted_exchanges": found["counted_exchanges"],
        "loopback_bytes": round(found["wire"]),
    }


def volume_of(row: dict) -> Volume:
    """The bytes of a measured step, as the cost model reads them."""
    return Volume(row["predicted_bytes_by_gloo"], 0.0, row["predicted_exchanges"])


def cost_model(rows: list[dict], method: str) -> dict:
    """Constants fitted to the shorter steps of a method, and what they say of the longest."""
    longest = max(row["tokens"] for row in rows)
    chosen = [row for row in rows if row["method"] == method]
    found = [Measurement(row["ranks"], row["tokens"], volume_of(row), row["seconds"]) for row in chosen]
    shorter = [one for one in found if one.work < longest]
    fitted = fit(shorter)
    for row, one in zip(chosen, found):
        row["model_seconds"] = round(fitted.seconds(one.ranks, one.work, one.volume), 4)
    return {
        "method": method,
        "tokens_a_second_of_a_rank": round(1 / fitted.work_seconds, 1),
        "crowding": round(fitted.crowding, 3),
        "bytes_a_second": round(fitted.bandwidth) if fitted.bandwidth != float("inf") else None,
        "latency_seconds": round(fitted.latency, 6),
        "largest_error_where_fitted": round(fitted.error(shorter), 3),
        "largest_error_where_asked": round(fitted.error([one for one in found if one.work == longest]), 3),
    }


def memory_kept() -> list[dict]:
    """Bytes that a forward pass of 4 x 256 tokens keeps, with and without recomputation, in 32 and 16 bits."""
    tokens, rows = torch.zeros(4, 256, dtype=torch.int64), []
    for method in ("lora", "full"):
        model = make(method).train()
        for recompute in (False, True):
            for bits in (32, 16):
                with recomputed_blocks(model, recompute), torch.autocast("cpu", torch.bfloat16, enabled=bits == 16):
                    rows.append({"method": method, "recompute": recompute, "bits": bits,
                                 "kept_mb": round(kept_bytes(model, tokens) / 1e6, 2)})  # fmt: skip
    return rows


def two_ranks(arguments) -> list[dict]:
    """The same file under torchrun; what its rank 0 measured."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "measured.json"
        worker = [__file__, "--worker", str(path), "--steps", str(arguments.steps), "--device", arguments.device]
        outcome = launch(worker, ranks=2)
        if outcome.code:
            raise CourseError(f"the two ranks failed:\n{outcome.output}")
        return json.loads(path.read_text())


def main() -> None:
    """Measure, print, and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--note", default="", help="kept in the JSON: what else the machine did")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    if arguments.worker:
        with open_ranks(arguments.device) as ranks:
            rows = all_cases(ranks, arguments.steps)
        if ranks.first:
            arguments.worker.write_text(json.dumps(rows))
        return
    report = {"benchmark": "distributed", "date": time.strftime("%Y-%m-%d"), "hardware": hardware()}
    report |= {"device": arguments.device, "threads_a_rank": 1, "steps": arguments.steps, "note": arguments.note}
    report["load_average_before"] = round(os.getloadavg()[0], 2)  # of a machine that others use as well
    idle, began = loopback_bytes(), time.perf_counter()
    rows = all_cases(Ranks(device=torch.device(arguments.device)), arguments.steps)
    report["loopback_bytes_a_second_without_us"] = round((loopback_bytes() - idle) / (time.perf_counter() - began))
    rows += two_ranks(arguments)
    report["load_average_after"] = round(os.getloadavg()[0], 2)
    report["parameters"] = {method: sum(p.numel() for p in make(method).parameters()) for method in ("lora", "full")}
    report["cost_models"] = [cost_model(rows, method) for method in ("lora", "full")]
    report["rows"] = rows
    report["kept"] = memory_kept()
    report["plans"] = table()
    print(f"{'ranks':>5} {'strategy':>11} {'method':>6} {'tokens':>6} {'tokens/s':>9} {'seconds':>8} {'model':>7} "
          f"{'predicted':>11} {'counted':>11} {'by gloo':>11} {'loopback':>11}")  # fmt: skip
    for row in rows:
        print(
            f"{row['ranks']:>5} {row['strategy']:>11} {row['method']:>6} {row['tokens']:>6} "
            f"{row['tokens_a_second']:>9.1f} {row['seconds']:>8.3f} {row['model_seconds']:>7.3f} "
            f"{row['predicted_bytes']:>11,.0f} {row['counted_bytes']:>11,.0f} "
            f"{row['predicted_bytes_by_gloo']:>11,.0f} {row['loopback_bytes']:>11,}"
        )
    for row in report["kept"]:
        how = "recomputed" if row["recompute"] else "kept"
        print(f"{row['method']:>5}, {row['bits']} bits, blocks {how}: {row['kept_mb']} MB")
    for row in report["cost_models"]:
        print(f"cost model: {row}")
    for row in report["plans"]:
        print(f"estimate: {row}")
    if arguments.out:
        write_atomic(arguments.out, json.dumps(report, indent=1) + "\n")
    print(json.dumps(report))


if __name__ == "__main__":
    main()
