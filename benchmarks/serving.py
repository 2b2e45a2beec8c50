"""Serving, measured: our server beside one request at a time, transformers, mlx_lm and llama.cpp, on the same weights.

    OMP_NUM_THREADS=1 python benchmarks/serving.py [--rounds 3] [--requests 16] [--out benchmarks/results/serving.json]
    OMP_NUM_THREADS=1 python benchmarks/serving.py --peers ours llama --concurrency 1 8

Every peer runs in a process of its own with one thread, and where the system allows it on one core; the client runs on
another. All serve the weights of finqa-tiny in float32 and decode greedily. Servers are asked over HTTP in a closed
loop at each concurrency (:mod:`finqa_lab.serve.load`); ``engine``, ``serial`` and ``transformers`` have no server and
are timed inside. Prompts are pieces of filings, and none is sent twice to a peer, so that no prompt cache helps.

Two speeds are given. *tokens/s* is by the clock, the best of the rounds, which take turns (what else runs on the
machine only slows). *tokens/CPU-s* is by the processor time of the peer, and says what a busy machine would hide.
``same`` is the share of replies that are to the letter those of one request at a time (mlx_lm drops a space in front,
which is passed over). About ten minutes on two cores.
"""

import argparse
import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from serving_peers import MAKERS, MOST_ROWS, ONE_THREAD, REPLY_TOKENS, SERVERS, Inside, ask_server, pin, started

from finqa_lab.course.report import hardware
from finqa_lab.files import write_atomic

PROMPT_TOKENS = 96
INSIDE = tuple(MAKERS)
OVERLOAD = 2.5
"""Arrivals of the overloaded server, as a multiple of what it serves to eight users."""
OVERLOAD_REQUESTS, CAPACITY_REQUESTS = 240, 3 * MOST_ROWS
SECTIONS = ("speeds", "overload", "cost_model")


def prepare(scratch: Path, wanted: int) -> tuple[Path, Path, list[list[int]]]:
    """A float32 model folder, the same as GGUF, and prompts of ``PROMPT_TOKENS`` tokens."""
    import torch

    from finqa_lab.files import data_path
    from finqa_lab.nn.hub import save_pretrained
    from finqa_lab.tune.base import load_base
    from finqa_lab.tune.formats.gguf_file import write_gguf

    base = load_base("finqa-tiny")
    source = base.template.source
    folder = save_pretrained(
        scratch / "model", base.model, base.tokenizer, base.end, dtype=torch.float32, chat_template=source
    )
    gguf = write_gguf(scratch / "model.gguf", base.model, base.tokenizer, base.end, kind="F32", chat_template=source)
    text = data_path("text/filings_train.txt").read_text(encoding="utf-8")
    prompts, place = [], 0
    while len(prompts) < wanted:  # cut at spaces, so that text and tokens go back and forth
        piece = text[place : place + 8 * PROMPT_TOKENS]
        ids = base.tokenizer.encode(piece).ids[:PROMPT_TOKENS]
        prompt = base.tokenizer.decode(ids)
        if base.tokenizer.encode(prompt).ids == ids:
            prompts.append(ids)
        place += len(prompt)
        if place > len(text) - 8 * PROMPT_TOKENS:
            raise SystemExit(f"the text has only {len(prompts)} prompts; lower --rounds or --requests")
    return Path(folder), Path(gguf), prompts


class Workload:
    """Prompts that are handed out once."""

    def __init__(self, prompts: list[list[int]], each: int):
        self.prompts, self.each, self.given = prompts, each, {}

    def take(self, peer: str) -> list[list[int]]:
        """The next prompts of a peer; every peer gets the same ones."""
        begin = self.given.get(peer, 0)
        self.given[peer] = begin + self.each
        return self.prompts[begin : begin + self.each]


def measure(options, folder: Path, gguf: Path, prompts: list[list[int]], scratch: Path) -> dict[str, dict[int, dict]]:
    """Every peer at every concurrency; the rounds take turns, and one process runs at a time.

    A peer's server is started anew each round, so that none keeps a core or a cache while another is measured.
    """
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    end = {tokenizer.token_to_id("<|end|>")}
    work, rounds = Workload(prompts, options.requests), {}
    for _ in range(options.rounds):
        for peer in options.peers:
            with contextlib.ExitStack() as stack:
                if peer in SERVERS:
                    process, url = stack.enter_context(started(peer, folder, gguf, options.core))
                else:
                    inside = Inside(peer, folder, options.core)
                    stack.callback(inside.close)
                for concurrency in options.concurrency:
                    given = work.take(peer)
                    if peer in SERVERS:
                        texts = [tokenizer.decode(ids) for ids in given]
                        if concurrency == options.concurrency[0]:  # what a first request alone pays for
                            ask_server(process, url, folder, [texts[0][:24]] * 2, 1, scratch)
                        row = ask_server(process, url, folder, texts, concurrency, scratch)
                    else:
                        if concurrency == options.concurrency[0]:
                            inside.ask([given[0][:8]] * 2, 1)
                        row = inside.ask(given, concurrency)
                        row["texts"] = [tokenizer.decode([t for t in ids if t not in end]) for ids in row.pop("ids")]
                    rounds.setdefault(peer, {}).setdefault(concurrency, []).append(row)
                    print(f"{peer:20} {concurrency:3}: {row['tokens_a_second']:7.1f} tokens/s", flush=True)
    return rounds


def tabulate(rounds: dict[str, dict[int, list[dict]]]) -> list[dict]:
    """The best of the rounds, and how many replies are those of one request at a time."""
    reference, rows = rounds.get("serial", {}), []
    for peer, by_concurrency in rounds.items():
        for concurrency, found in by_concurrency.items():
            best = max(found, key=lambda row: row["tokens_a_second"])
            row = {"peer": peer, "concurrency": concurrency}
            row |= {key: round(value, 4) for key, value in best.items() if key != "texts"}
            row["tokens_a_cpu_second"] = round(max(one["tokens_a_cpu_second"] for one in found), 1)
            row["rounds"] = [round(one["tokens_a_second"], 1) for one in found]
            if concurrency in reference:
                both = zip(found, reference[concurrency])
                pairs = [pair for one, wanted in both for pair in zip(one["texts"], wanted["texts"])]
                row["same"] = sum(text.strip() == wanted.strip() for text, wanted in pairs) / len(pairs)
            rows.append(row)
    return rows


def ratios(rows: list[dict], speed: str) -> dict[str, float]:
    """What the project wants to know, from one of the two speeds of the table."""
    speeds = {(row["peer"], row["concurrency"]): row[speed] for row in rows}
    pairs = [("ours", peer) for peer in ("ours one at a time", "mlx", "llama")]
    pairs += [("engine", peer) for peer in ("serial", "transformers")]
    found = {}
    for ours, peer in pairs:
        for concurrency in (1, 4, 8):
            if (ours, concurrency) in speeds and (peer, concurrency) in speeds:
                ratio = speeds[ours, concurrency] / speeds[peer, concurrency]
                found[f"{ours} / {peer} at {concurrency}"] = round(ratio, 2)
    return found


def overload(options, folder: Path, gguf: Path, prompts: list[list[int]], scratch: Path) -> list[dict]:
    """An open loop above capacity, with a short queue and with a long one: who waits how long, who is refused.

    Each server's capacity is measured right before: on a machine that others use it is another one a minute later.
    """
    from tokenizers import Tokenizer

    from finqa_lab.serve.load.arrivals import poisson
    from finqa_lab.serve.load.client import Target
    from finqa_lab.serve.load.generator import send_open
    from finqa_lab.serve.load.summary import Slo, summarise

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    texts = [tokenizer.decode(ids) for ids in prompts]
    measured, sent = texts[:CAPACITY_REQUESTS], texts[CAPACITY_REQUESTS:]
    bodies = [{"prompt": text, "max_tokens": REPLY_TOKENS, "temperature": 0} for text in sent]
    rows = []
    for waiting in (8, 10_000):
        with started("ours", folder, gguf, options.core, ["--waiting", str(waiting)]) as (process, url):
            ask_server(process, url, folder, [measured[0][:24]] * 2, 1, scratch)
            row = ask_server(process, url, folder, measured, MOST_ROWS // 2, scratch)
            rate = OVERLOAD * row["tokens_a_second"] / REPLY_TOKENS
            path = scratch / f"overload-{waiting}.jsonl"
            times = poisson(rate, len(bodies), seed=0)
            log = asyncio.run(send_open(Target(url, "tiny", timeout=300), bodies, times, path))
        found = summarise(log.records, Slo(ttft=1.0, tpot=0.2))
        kept = ("requests", "served", "refused", "failed", "ttft", "tpot", "goodput", "requests_a_second", "late")
        rows.append({"waiting": waiting, "arrivals_a_second": round(rate, 2)} | {k: found.as_dict()[k] for k in kept})
    return rows


def main() -> None:
    """Measure, print, and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", nargs="+", default=[*INSIDE, *SERVERS], choices=[*INSIDE, *SERVERS])
    parser.add_argument("--concurrency", nargs="+", type=int, default=[1, 2, 4, 8, 16])
    parser.add_argument("--requests", type=int, default=16, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--core", type=int, default=1, help="on which each peer runs; -1 leaves that to the system")
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=SECTIONS, help="the rest stays as --out has it")
    parser.add_argument("--note", default="", help="kept in the JSON: what else the machine did")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if options.core < 0 or not hasattr(os, "sched_setaffinity") or (os.cpu_count() or 1) < 2:
        options.core = None
    earlier = {}
    if set(options.only) != set(SECTIONS) and options.out and options.out.is_file():
        earlier = json.loads(options.out.read_text(encoding="utf-8"))
    report = earlier | {"benchmark": "serving", "date": time.strftime("%Y-%m-%d"), "hardware": hardware()}
    report |= {"note": options.note, "requests": options.requests}
    report |= {"prompt_tokens": PROMPT_TOKENS, "reply_tokens": REPLY_TOKENS}
    report["load_average_before"] = round(os.getloadavg()[0], 2)  # of a machine that others use as well
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        each = options.requests * len(options.concurrency) * options.rounds if "speeds" in options.only else 0
        folder, gguf, prompts = prepare(scratch, each + CAPACITY_REQUESTS + OVERLOAD_REQUESTS)
        if "speeds" in options.only:
            rows = report["rows"] = tabulate(measure(options, folder, gguf, prompts[:each], scratch))
            report["ratios"] = {speed: ratios(rows, speed) for speed in ("tokens_a_second", "tokens_a_cpu_second")}
        if "overload" in options.only:
            report["overload"] = overload(options, folder, gguf, prompts[each:], scratch)
        if "cost_model" in options.only:
            report["cost_model"] = in_a_child(folder, options)
    report["load_average_after"] = round(os.getloadavg()[0], 2)
    show(report)
    if options.out:
        write_atomic(options.out, json.dumps(report, indent=1) + "\n")
    print(json.dumps(report))


def in_a_child(folder: Path, options) -> dict:
    """The cost model, measured in a process with one thread."""
    command = [sys.executable, str(Path(__file__).with_name("serving_cost.py")), str(folder)]
    command += map(str, options.concurrency)
    done = subprocess.run(
        command, env=os.environ | ONE_THREAD, capture_output=True, text=True, preexec_fn=pin(options.core)
    )
    if done.returncode:
        raise SystemExit(f"the cost model could not be measured:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def show(report: dict) -> None:
    """The tables for people."""
    print(f"{'peer':<20}{'conc.':>6}{'tokens/s':>10}{'tokens/CPU-s':>14}{'TTFT p50':>10}{'TPOT p50':>10}{'same':>7}")
    for row in report.get("rows", ()):
        times = "".join(f"{row[key]:>10.4f}" if key in row else f"{'':>10}" for key in ("ttft_p50", "tpot_p50"))
        same = f"{row['same']:>7.0%}" if "same" in row else ""
        speeds = f"{row['tokens_a_second']:>10.1f}{row['tokens_a_cpu_second']:>14.1f}"
        print(f"{row['peer']:<20}{row['concurrency']:>6}{speeds}{times}{same}")
    for name, value in report.get("ratios", {}).get("tokens_a_second", {}).items():
        print(f"{name}: {value} by the clock, {report['ratios']['tokens_a_cpu_second'][name]} by processor time")
    for row in report.get("overload", ()):
        print(f"overload, {row['waiting']} may wait: {row['served']} served, {row['refused']} refused, "
              f"TTFT p95 {row['ttft']['p95']['value']:.2f} s, goodput {row['goodput']:.2f}/s")  # fmt: skip
    for name, fit in report.get("cost_model", {}).items():
        print(f"cost model, {name}: {fit}")


if __name__ == "__main__":
    main()
