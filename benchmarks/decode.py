"""Decoding, measured: beside `transformers`, with and without a cache, and against the machine's ceilings.

    OMP_NUM_THREADS=1 python benchmarks/decode.py [--repeats 5] [--only peers cache roofline]
    python benchmarks/decode.py --device cuda --dtype bfloat16   # the roofline's model then has 1.2 billion parameters

Random weights: speed does not depend on their values. One process; the contestants of a ratio take turns, the ratio is
taken within each turn, and the figures are medians of the turns. *By columns* is our decoder with its matrices laid
out by columns (finqa_lab.nn.layout). `products_ms` is the time of the pass's matrix products alone. Everything runs
with as many threads as OMP_NUM_THREADS says. About two minutes on one core. Last line: one JSON object.
"""

import argparse
import functools
import json
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from transformers import AutoModelForCausalLM, PreTrainedModel

from finqa_lab.course.report import hardware
from finqa_lab.nn.cache.contiguous import ContiguousCache
from finqa_lab.nn.cache.memory import PRESETS
from finqa_lab.nn.config import DecoderConfig
from finqa_lab.nn.cost import pass_cost
from finqa_lab.nn.device import device_named
from finqa_lab.nn.generate import greedy
from finqa_lab.nn.hub import save_pretrained
from finqa_lab.nn.layout import column_major
from finqa_lab.nn.roofline import measure_machine, timed
from finqa_lab.nn.transformer import Decoder

SMALL = {
    "0.13M": DecoderConfig.llama(512, 64, 2, 8, 192, 1024, kv_heads=2),
    "0.97M": DecoderConfig.llama(2048, 128, 4, 8, 352, 1024, kv_heads=2),
    "5.3M": DecoderConfig.llama(4096, 256, 6, 8, 704, 1024, kv_heads=2),
}
LARGE = DecoderConfig.llama(8192, 768, 8, 12, 2048, 1024, kv_heads=4)
ONE_BILLION = PRESETS["Llama-3.2-1B"].config


def peer_of(model: Decoder) -> PreTrainedModel:
    """The same weights as `transformers` loads them from a folder, in its own layout."""
    with tempfile.TemporaryDirectory() as folder:
        theirs = AutoModelForCausalLM.from_pretrained(save_pretrained(Path(folder) / "model", model))
    return theirs.to(model.device, model.token_embedding.weight.dtype).eval()


def generate(theirs: PreTrainedModel, prompts: torch.Tensor) -> torch.Tensor:
    """64 tokens by the peer's own loop."""
    settings = {"max_new_tokens": 64, "do_sample": False, "pad_token_id": 0, "eos_token_id": None}
    return theirs.generate(prompts, attention_mask=torch.ones_like(prompts), **settings)[:, prompts.shape[1] :]


def peers(arguments) -> list[dict]:
    """Greedy decoding, 64 prompt and 64 new tokens, beside `generate` with its dynamic cache."""
    rows = []
    print("tokens/s; ratios to transformers")
    print(f"{'parameters':>10} {'batch':>5} {'ours':>8} {'by columns':>10} {'transformers':>12} {'ratios':>11}")
    for name, config in SMALL.items():
        plain, columns = (Decoder(config).eval().to(arguments.device, arguments.type) for _ in range(2))
        theirs = peer_of(plain)
        column_major(columns)
        for batch in (1, 8, 32):
            prompts = torch.randint(0, config.vocabulary, (batch, 64), device=arguments.device)

            contestants = [functools.partial(greedy, model, prompts, 64) for model in (plain, columns)]
            contestants.append(functools.partial(generate, theirs, prompts))
            same = bool((contestants[0]() == contestants[2]()).all())
            turns = [[timed(work, arguments.device) for work in contestants] for _ in range(arguments.repeats)]
            turns = np.array(turns)
            speeds = np.round(64 * batch / np.median(turns, axis=0), 1).tolist()
            ratios = np.round(np.median(turns[:, 2:] / turns[:, :2], axis=0), 2).tolist()
            row = {"parameters": plain.parameter_count(), "batch": batch, "same_tokens": same, "ratios": ratios}
            rows.append(row | dict(zip(("ours", "by_columns", "transformers"), speeds)))
            ours, by_columns, other = speeds
            both = f"{ratios[0]:.2f} {ratios[1]:.2f}"
            print(f"{name:>10} {batch:>5} {ours:>8,.0f} {by_columns:>10,.0f} {other:>12,.0f} {both:>11}")
    return rows


@torch.inference_mode()
def cache(arguments) -> dict:
    """16 tokens with and without a cache; cost of a token against its position, with a line through it."""
    config, device = SMALL["5.3M"], arguments.device
    model = Decoder(config).eval().to(device, arguments.type)
    rows = []
    print(f"\n16 new tokens\n{'prompt':>6} {'with cache s':>12} {'without s':>10} {'ratio':>6}")
    for length in (64, 256, 512):
        prompts = torch.randint(0, config.vocabulary, (1, length), device=device)
        kept, recomputed = (functools.partial(greedy, model, prompts, 16, use_cache=used) for used in (True, False))
        turns = np.array([[timed(work, device) for work in (kept, recomputed)] for _ in range(arguments.repeats)])
        fast, slow = np.median(turns, axis=0).tolist()
        ratio = float(np.median(turns[:, 1] / turns[:, 0]))
        print(f"{length:>6} {fast:>12.3f} {slow:>10.3f} {ratio:>6.1f}")
        rows.append({"prompt": length, "with_s": round(fast, 4), "without_s": round(slow, 4), "ratio": round(ratio, 2)})
    token = torch.zeros(1, 1, dtype=torch.int64, device=device)
    cached, uncached, places = [], [], np.arange(64, 1001, 72)
    for _ in range(arguments.repeats):
        step = functools.partial(model, token, cache=ContiguousCache(config, 1, dtype=arguments.type, device=device))
        cached.append([timed(step, device) for _ in range(1000)])
        whole = [functools.partial(model, token.expand(1, place), start=place - 1) for place in places.tolist()]
        uncached.append([timed(work, device) for work in whole])
    from_16 = np.arange(16, 1000)  # the first steps warm the processor's caches
    lines = {
        "cached": line(from_16, np.median(cached, axis=0)[16:]),
        "uncached": line(places, np.median(uncached, axis=0)),
    }
    for name, (slope, half, middle) in lines.items():
        print(f"{name}: {middle:.0f} us a token at position 512, {slope:.2f} +- {half:.2f} us more a position (95%)")
    return {"rows": rows, "us_a_position_half_interval_us_at_512": lines}


def line(x: np.ndarray, y: np.ndarray) -> tuple[float, float, float]:
    """Least squares, in microseconds: slope, half of its 95% interval (normal approximation), value at x = 512."""
    slope, start = np.polyfit(x, y, 1)
    residual = y - (start + slope * x)
    spread = np.sqrt(residual @ residual / (len(x) - 2) / ((x - x.mean()) ** 2).sum())
    return tuple(round(float(value) * 1e6, 3) for value in (slope, 1.96 * spread, start + 512 * slope))


@torch.inference_mode()
def roofline(arguments) -> dict:
    """One decode step at several batches, and one prefill, against the measured ceilings."""
    device, kind, repeats = arguments.device, arguments.type, arguments.repeats
    machine = measure_machine(256, 1024, repeats, device, kind)
    config = LARGE if device == "cpu" else ONE_BILLION
    model = column_major(Decoder(config).eval().to(device, kind))
    print(f"\ncopy {machine.bandwidth / 1e9:.1f} GB/s, product {machine.rate / 1e9:.1f} GFLOP/s")
    print(f"ridge at {machine.ridge:.1f} FLOP/byte; {model.parameter_count():,} parameters, 64 positions cached")
    columns = ("ms", "tokens_per_s", "intensity", "gflops", "share_of_rate", "gbytes_per_s", "share_of_copy")
    print(f"{'step':>11} " + " ".join(f"{name:>13}" for name in (*columns, "products_ms")))
    rows = []
    for batch, new, behind in [(1, 1, 64), (2, 1, 64), (8, 1, 64), (32, 1, 64), (256, 1, 64), (1, 256, 0)]:
        held = ContiguousCache(config, batch, behind + new, kind, device)
        held.keys.zero_()
        held.values.zero_()
        tokens = torch.zeros(batch, new, dtype=torch.int64, device=device)

        def step(held=held, tokens=tokens, behind=behind):
            held.length = behind
            return model(tokens, cache=held)

        works = (step, functools.partial(products, model, batch * new))
        for work in works:
            work()
        turns = [[timed(work, device) for work in works] for _ in range(2 * repeats + 1)]
        seconds, alone = np.median(turns, axis=0).tolist()
        cost = pass_cost(config, new, behind, batch, kind.itemsize)
        values = {
            "ms": seconds * 1e3,
            "tokens_per_s": batch * new / seconds,
            "intensity": cost.intensity,
            "gflops": cost.operations / seconds / 1e9,
            "share_of_rate": cost.operations / seconds / machine.rate,
            "gbytes_per_s": cost.bytes / seconds / 1e9,
            "share_of_copy": cost.bytes / seconds / machine.bandwidth,
            "products_ms": alone * 1e3,
        }
        name = f"{'decode' if new == 1 else 'prefill'} {batch * new}"
        print(f"{name:>11} " + " ".join(f"{value:>13.2f}" for value in values.values()))
        rows.append({"step": name} | {key: round(value, 3) for key, value in values.items()})
    return {"bandwidth": machine.bandwidth, "rate": machine.rate, "parameters": model.parameter_count(), "rows": rows}


def products(model: Decoder, rows: int) -> None:
    """The pass's matrix products and nothing else: what remains to the pass is everything around them."""
    inputs: dict[int, torch.Tensor] = {}
    for parameter in model.parameters():
        if parameter.ndim == 2:
            width = parameter.shape[1]
            if width not in inputs:
                inputs[width] = torch.zeros(rows, width, dtype=parameter.dtype, device=parameter.device)
            F.linear(inputs[width], parameter)


SECTIONS = {"peers": peers, "cache": cache, "roofline": roofline}


def main() -> None:
    """Run the sections and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=list(SECTIONS))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"))
    arguments = parser.parse_args()
    arguments.type = getattr(torch, arguments.dtype)
    device_named(arguments.device)
    torch.manual_seed(0)
    report = {"benchmark": "decode", "date": time.strftime("%Y-%m-%d"), "hardware": hardware()}
    report |= {"device": arguments.device, "dtype": arguments.dtype, "threads": torch.get_num_threads()}
    report |= {"repeats": arguments.repeats, "load_average": round(os.getloadavg()[0], 2)}
    for name in arguments.only:
        report[name] = SECTIONS[name](arguments)
    print(json.dumps(report))


if __name__ == "__main__":
    main()
