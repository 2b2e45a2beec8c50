"""The peers of benchmarks/serving.py: one function each, and one process each with one thread.

A server is a command and an address; a peer without a server answers orders on its standard input.
"""

import argparse
import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent
REPLY_TOKENS, MOST_ROWS = 32, 16
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
ONE_THREAD |= {"TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}


def ours(folder: Path, gguf: Path, port: int) -> list[str]:
    """Our server, with room for sixteen sequences in a step."""
    options = ["--port", str(port), "--batch", str(MOST_ROWS), "--name", "tiny"]
    return [sys.executable, "-m", "finqa_lab.cli", "serve", str(folder), *options]


def ours_one_at_a_time(folder: Path, gguf: Path, port: int) -> list[str]:
    """The same server with room for one."""
    return [*ours(folder, gguf, port), "--batch", "1"]


def mlx(folder: Path, gguf: Path, port: int) -> list[str]:
    """mlx_lm's server; it batches up to 32 by default."""
    options = ["--model", str(folder), "--port", str(port), "--log-level", "ERROR"]
    return [sys.executable, "-m", "mlx_lm", "server", *options]


def llama(folder: Path, gguf: Path, port: int) -> list[str]:
    """llama.cpp's server through xllamacpp, with sixteen slots; it chooses its own port and says which."""
    return [sys.executable, __file__, "--role", "llama", "--model", str(gguf)]


SERVERS = {"ours": ours, "ours one at a time": ours_one_at_a_time, "mlx": mlx, "llama": llama}


def serve_llama(gguf: Path) -> None:
    """The process behind :func:`llama`."""
    from finqa_lab.tune.formats.llama_server import serving

    with serving(gguf, context=256, threads=1, rows=MOST_ROWS) as address:
        print(address, flush=True)
        sys.stdin.read()  # until the parent goes


@contextlib.contextmanager
def started(peer: str, folder: Path, gguf: Path, core: int | None, options: Sequence[str] = ()):
    """A peer's process and address, while it is needed; ``options`` are added to its command."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [*SERVERS[peer](folder, gguf, port), *options],
        cwd=ROOT,
        env=os.environ | ONE_THREAD,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE if peer == "llama" else subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
        preexec_fn=pin(core),
    )
    try:
        address = process.stdout.readline().strip() if peer == "llama" else f"http://127.0.0.1:{port}"
        wait_for(process, address, peer)
        yield process, f"{address}/v1"
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()


def pin(core: int | None):
    """What a child does first: stay on one core."""
    return None if core is None else lambda: os.sched_setaffinity(0, {core})


def wait_for(process: subprocess.Popen, address: str, peer: str) -> None:
    """Until the server lists its models."""
    import httpx

    for _ in range(600):
        if process.poll() is not None:
            raise SystemExit(f"{peer} ended with status {process.returncode} before it served")
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(f"{address}/v1/models", timeout=1).status_code == 200:
                return
        time.sleep(0.1)
    raise SystemExit(f"{peer} did not serve within a minute")


def ask_server(process, url: str, folder: Path, prompts: list[str], concurrency: int, scratch: Path) -> dict:
    """One closed loop over HTTP."""
    from finqa_lab.serve.load.client import Target
    from finqa_lab.serve.load.generator import send_closed
    from finqa_lab.serve.load.summary import summarise

    model = str(folder) if "mlx_lm" in process.args else "tiny"
    bodies = [{"prompt": prompt, "max_tokens": REPLY_TOKENS, "temperature": 0} for prompt in prompts]
    path = scratch / f"{time.monotonic_ns()}.jsonl"
    before = processor_seconds(process.pid)
    log = asyncio.run(send_closed(Target(url, model, timeout=300), bodies, concurrency, path))
    spent = processor_seconds(process.pid) - before
    summary = summarise(log.records)
    if summary.served != len(bodies):
        errors = {f"{record.status} {record.error}" for record in log.records if not record.ok}
        raise SystemExit(f"only {summary.served} of {len(bodies)} requests were served: {sorted(errors)[:3]}")
    tokens = sum(record.output_tokens for record in log.records)
    return {
        "tokens_a_second": summary.tokens_a_second,
        "tokens_a_cpu_second": tokens / spent,
        "ttft_p50": summary.ttft["p50"].value,
        "ttft_p95": summary.ttft["p95"].value,
        "tpot_p50": summary.tpot["p50"].value,
        "texts": [record.text for record in sorted(log.records, key=lambda record: record.index)],
    }


def processor_seconds(pid: int) -> float:
    """Of a process and its children."""
    process = psutil.Process(pid)
    times = [one.cpu_times() for one in (process, *process.children(recursive=True))]
    return sum(one.user + one.system for one in times)


def run_engine(folder: Path):
    """Our engine without HTTP: a function from prompts and concurrency to replies."""
    from finqa_lab.nn.generate import Stop
    from finqa_lab.nn.layout import column_major
    from finqa_lab.serve.engine import Engine, EngineSettings, complete
    from finqa_lab.serve.request import Request
    from finqa_lab.tune.base import load_base

    base = load_base(str(folder))
    model = column_major(base.model, wide=False)  # as the server does
    stop = Stop(REPLY_TOKENS, frozenset(base.end))

    def reply(prompts: list[list[int]], concurrency: int) -> list[list[int]]:
        engine = Engine(model, EngineSettings(blocks=16 * MOST_ROWS, batch=concurrency, prefix_cache=False))
        return complete(engine, [Request(tuple(prompt), stop) for prompt in prompts])

    return reply


def run_serial(folder: Path):
    """One request at a time with :func:`finqa_lab.nn.generate.generate`, whatever the concurrency."""
    from finqa_lab.nn.generate import Stop, generate
    from finqa_lab.tune.base import load_base

    base = load_base(str(folder))
    stop = Stop(REPLY_TOKENS, frozenset(base.end))
    return lambda prompts, concurrency: [generate(base.model, [prompt], stop).tokens[0] for prompt in prompts]


def run_transformers(folder: Path):
    """Continuous batching of transformers (``generate_batch``)."""
    import torch
    from transformers import AutoModelForCausalLM, GenerationConfig
    from transformers.generation.configuration_utils import ContinuousBatchingConfig

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="sdpa").eval()
    end = model.generation_config.eos_token_id
    asked = GenerationConfig(max_new_tokens=REPLY_TOKENS, do_sample=False, eos_token_id=end, pad_token_id=end)

    def reply(prompts: list[list[int]], concurrency: int) -> list[list[int]]:
        settings = ContinuousBatchingConfig(
            page_size=16, num_blocks=16 * MOST_ROWS, max_batch_tokens=256, max_requests_per_batch=concurrency,
            allow_block_sharing=False,
        )  # fmt: skip
        found = model.generate_batch(prompts, asked, settings, warmup=False)
        return [list(one.generated_tokens) for one in found.values()]

    return reply


MAKERS = {"engine": run_engine, "serial": run_serial, "transformers": run_transformers}


def serve_orders(peer: str, folder: Path) -> None:
    """The process behind :class:`Inside`."""
    import torch

    torch.set_num_threads(1)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints goes elsewhere
    reply = MAKERS[peer](folder)
    for line in sys.stdin:
        order = json.loads(line)
        wall, cpu = time.perf_counter(), time.process_time()
        tokens = reply(order["prompts"], order["concurrency"])
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        print(json.dumps({"wall": wall, "cpu": cpu, "tokens": tokens}), file=answers, flush=True)


class Inside:
    """A peer without a server, in its process."""

    def __init__(self, peer: str, folder: Path, core: int | None):
        command = [sys.executable, __file__, "--role", peer, "--model", str(folder)]
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=os.environ | ONE_THREAD, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True, preexec_fn=pin(core),
        )  # fmt: skip

    def ask(self, prompts: list[list[int]], concurrency: int) -> dict:
        """One measurement."""
        self.process.stdin.write(json.dumps({"prompts": prompts, "concurrency": concurrency}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.process.args[3]} ended with status {self.process.wait()}")
        answer = json.loads(line)
        count = sum(map(len, answer["tokens"]))
        return {"tokens_a_second": count / answer["wall"], "tokens_a_cpu_second": count / answer["cpu"],
                "ids": answer["tokens"]}  # fmt: skip

    def close(self) -> None:
        """End the process."""
        self.process.stdin.close()
        self.process.wait(30)


def main() -> None:
    """The process of one peer."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--role", choices=("llama", *MAKERS), required=True)
    parser.add_argument("--model", type=Path, required=True)
    arguments = parser.parse_args()
    if arguments.role == "llama":
        serve_llama(arguments.model)
    else:
        serve_orders(arguments.role, arguments.model)


if __name__ == "__main__":
    main()
