"""The arithmetic service against the plain way of serving the same kind of model, in one run.

    OMP_NUM_THREADS=1 python benchmarks/arithmetic_service.py

Three real uvicorn processes on loopback, measured in turn, several rounds, medians of the rounds:

- ours: the batching service over the exported graph;
- plain: the same weights in a synchronous FastAPI route, one request at a time, eager PyTorch, no cache;
- reference size: the plain way with 1.07 million parameters (4 layers, width 128; random weights).

The client is the same for all: asyncio protocols over keep-alive connections, each sending its next request when it has
the answer to the last. Prints a table, then one JSON line.
"""

import argparse
import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import psutil

from finqa_lab.arithmetic.formats import FORMATS, PROMPT
from finqa_lab.arithmetic.problems import SPACE, answers, operands, written

RESULT_CONCURRENCY = (1, 16)
CLAIM_MS = 36.8  # latency of one request that the reference implementation states for itself
SYSTEMS = ("ours", "plain", "reference size")


class Client(asyncio.Protocol):
    """One keep-alive connection in a closed loop: send, wait for the whole answer, send the next."""

    def __init__(self, requests: list[bytes], latencies: list[float], finished: asyncio.Future):
        self.requests, self.latencies, self.finished = requests, latencies, finished
        self.bodies: list[bytes] = []
        self.buffer, self.needed = b"", 0

    def connection_made(self, transport) -> None:
        self.transport = transport
        self.send()

    def send(self) -> None:
        if not self.requests:
            self.transport.close()
            self.finished.set_result(self.bodies)
            return
        self.started = time.perf_counter()
        self.transport.write(self.requests.pop())

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if not self.needed:
            head, separator, _ = self.buffer.partition(b"\r\n\r\n")
            if not separator:
                return
            if b" 200 " not in head[:20]:
                raise RuntimeError(f"the server answered {head[:60]!r}")
            lower = head.lower()
            at = lower.index(b"content-length:") + 15
            self.needed = len(head) + 4 + int(lower[at:].split(b"\r\n", 1)[0])
        if len(self.buffer) >= self.needed:
            self.latencies.append(time.perf_counter() - self.started)
            self.bodies.append(self.buffer)
            self.buffer, self.needed = b"", 0
            self.send()

    def connection_lost(self, error) -> None:
        if not self.finished.done():
            self.finished.set_exception(error or ConnectionError("the server closed the connection"))


def request_bytes(problem: str) -> bytes:
    """A whole HTTP request."""
    body = json.dumps({"problem": problem}).encode()
    head = f"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


def random_problems(count: int, seed: int) -> list[str]:
    """Problems drawn uniformly from all, as text."""
    ids = np.random.default_rng(seed).integers(0, SPACE, count).tolist()
    return [written(problem).split("=")[0] for problem in ids]


async def load(port: int, concurrency: int, problems: list[str]) -> tuple[list[float], float, list[bytes]]:
    """Send all problems; returns latencies (s), wall time (s) and the raw responses."""
    loop = asyncio.get_running_loop()
    requests, latencies, ends = [request_bytes(problem) for problem in reversed(problems)], [], []
    start = time.perf_counter()
    for _ in range(concurrency):
        ends.append(loop.create_future())
        factory = lambda end=ends[-1]: Client(requests, latencies, end)  # noqa: E731
        await loop.create_connection(factory, "127.0.0.1", port)
    bodies = await asyncio.gather(*ends)
    return latencies, time.perf_counter() - start, [body for part in bodies for body in part]


def serve_plainly(checkpoint: str, port: int) -> None:
    """The baseline: a synchronous route that decodes one problem eagerly, recomputing the prefix at every step."""
    import torch
    import uvicorn
    from fastapi import FastAPI
    from pydantic import BaseModel

    from finqa_lab.arithmetic.service.graphs import spelling_of
    from finqa_lab.arithmetic.service.validation import parse_problem
    from finqa_lab.nn.checkpoint import load_checkpoint

    torch.set_num_threads(1)
    model, _ = load_checkpoint(checkpoint)
    spelling, app, one_at_a_time = spelling_of(Path(checkpoint)), FastAPI(), threading.Lock()

    class Question(BaseModel):
        problem: str

    @app.post("/predict")
    def predict(question: Question):
        problem = parse_problem(question.problem)
        sign = 0 if problem.operator == "+" else 1
        prompt = spelling.encode_prompts(np.array([problem.left]), np.array([sign]), np.array([problem.right]))
        places = spelling.digit_places(prompt)
        places = None if places is None else torch.from_numpy(places)
        with one_at_a_time, torch.inference_mode():
            tokens = torch.from_numpy(prompt)
            for _ in range(spelling.steps):  # every position of every prefix is computed again
                here = None if places is None else places[:, : tokens.shape[1]]
                tokens = torch.cat([tokens, model(tokens, here)[:, -1:].argmax(dim=-1)], dim=1)
        value = int(spelling.decode_answers(tokens[:, PROMPT:].numpy())[0])
        return {"answer": value if value >= 0 else None}

    uvicorn.run(app, port=port, log_level="critical", access_log=False)


def make_checkpoint(folder: Path, width: int, layers: int, heads: int, hidden: int) -> Path:
    """A decoder with random weights, saved."""
    from finqa_lab.nn.checkpoint import save_checkpoint
    from finqa_lab.nn.config import DecoderConfig
    from finqa_lab.nn.transformer import Decoder

    context = FORMATS["reversed"].length
    config = DecoderConfig(vocabulary=17, width=width, layers=layers, heads=heads, hidden=hidden, context=context)
    return save_checkpoint(folder, Decoder(config, seed=0), {"format": "reversed"})


def start(system: str, checkpoint: Path, registry: Path) -> tuple[subprocess.Popen, int]:
    """Start a server process and wait until it accepts connections."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, __file__, "--role", system, "--port", str(port)]
    command += ["--checkpoint", str(checkpoint), "--registry", str(registry)]
    process = subprocess.Popen(command, env=os.environ | {"OMP_NUM_THREADS": "1"}, stderr=subprocess.DEVNULL)
    for _ in range(600):
        if process.poll() is not None:
            raise SystemExit(f"the server '{system}' ended with status {process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return process, port
        except OSError:
            time.sleep(0.1)
    raise SystemExit(f"the server '{system}' did not start within a minute")


def measure(servers: dict, rounds: int, scale: float) -> dict:
    """Interleaved rounds -> {system: {concurrency: {p50_ms, p95_ms, per_s, cpu_ms}}}, medians over the rounds."""
    counts = {"ours": {1: 1000, 16: 4000}, "plain": {1: 200, 16: 600}, "reference size": {1: 100, 16: 320}}
    samples = {system: {concurrency: [] for concurrency in RESULT_CONCURRENCY} for system in servers}
    for _, port in servers.values():
        asyncio.run(load(port, 4, random_problems(64, seed=0)))  # warm
    for round_ in range(rounds):
        for concurrency in RESULT_CONCURRENCY:
            for system, (process, port) in servers.items():
                problems = random_problems(max(32, int(counts[system][concurrency] * scale)), seed=round_)
                usage, before = psutil.Process(process.pid), psutil.Process(process.pid).cpu_times()
                latencies, wall, _ = asyncio.run(load(port, concurrency, problems))
                after, ordered = usage.cpu_times(), sorted(latencies)
                cpu = after.user + after.system - before.user - before.system
                samples[system][concurrency].append((
                    1000 * ordered[len(ordered) // 2], 1000 * ordered[int(0.95 * len(ordered))],
                    len(ordered) / wall, 1000 * cpu / len(ordered),
                ))  # fmt: skip
    names = ("p50_ms", "p95_ms", "per_s", "cpu_ms")
    return {
        system: {
            concurrency: dict(zip(names, (round(statistics.median(column), 3) for column in zip(*rows))))
            for concurrency, rows in by_concurrency.items()
        }
        for system, by_concurrency in samples.items()
    }


def make_engine(checkpoint: Path):
    """The exported graph of a checkpoint."""
    from finqa_lab.arithmetic.service.engine import OnnxEngine
    from finqa_lab.arithmetic.service.export import export_greedy
    from finqa_lab.arithmetic.service.graphs import spelling_of
    from finqa_lab.nn.checkpoint import load_checkpoint

    spelling = spelling_of(checkpoint)
    return OnnxEngine(export_greedy(load_checkpoint(checkpoint)[0], PROMPT, spelling.steps), spelling, "bench")


def count_wrong(engine, chunk: int = 4096) -> int:
    """Wrong answers of the exported graph to all problems (half a minute)."""
    wrong = 0
    for start in range(0, SPACE, chunk):
        ids = np.arange(start, min(start + chunk, SPACE))
        tokens = engine.generate(engine.spelling.encode_prompts(*operands(ids)))
        wrong += int((engine.spelling.decode_answers(tokens) != answers(ids)).sum())
    return wrong


def answers_per_cpu_second(engine, repeats: int = 5) -> dict[int, int]:
    """Answers of the exported graph per CPU-second in this process, medians, by batch size; encoding not included."""
    prompts = engine.spelling.encode_prompts(*operands(np.random.default_rng(0).integers(0, SPACE, 4096)))
    rates = {}
    for batch in (1, 16, 64):
        chunks = [prompts[start : start + batch] for start in range(0, min(4096, 400 * batch), batch)]
        samples = []
        for _ in range(repeats):
            begin = time.process_time()
            for chunk in chunks:
                engine.generate(chunk)
            samples.append(len(chunks) * batch / (time.process_time() - begin))
        rates[batch] = round(statistics.median(samples))
    return rates


def same_answers(servers: dict, count: int = 128) -> int:
    """How many of ``count`` problems ours and the plain service answer alike; they hold the same weights."""
    problems, given = random_problems(count, seed=99), {}
    for system in ("ours", "plain"):
        bodies = asyncio.run(load(servers[system][1], 1, problems))[2]
        given[system] = [json.loads(body.partition(b"\r\n\r\n")[2])["answer"] for body in bodies]
    return sum(ours == plain for ours, plain in zip(given["ours"], given["plain"]))


def report(results: dict, sizes: dict, rates: dict, trained: bool, alike: int, exhaustive) -> None:
    """The table, then the JSON line; ``exhaustive`` is an engine to ask all problems, or False."""
    print(f"{'system':<16}{'parameters':>11}{'conc.':>7}{'p50 ms':>9}{'p95 ms':>9}{'req/s':>9}{'CPU ms/req':>12}")
    for system, by_concurrency in results.items():
        for concurrency, row in by_concurrency.items():
            figures = f"{row['p50_ms']:>9.2f}{row['p95_ms']:>9.2f}{row['per_s']:>9.0f}{row['cpu_ms']:>12.3f}"
            print(f"{system:<16}{sizes[system]:>11,}{concurrency:>7}{figures}")
    ratios = {other: round(results["ours"][16]["per_s"] / results[other][16]["per_s"], 1) for other in SYSTEMS[1:]}
    cpu = {other: round(results[other][16]["cpu_ms"] / results["ours"][16]["cpu_ms"], 1) for other in SYSTEMS[1:]}
    print(f"requests/s at 16: ours {ratios['plain']}x plain, {ratios['reference size']}x reference size")
    print(f"server CPU per request at 16: plain {cpu['plain']}x ours, reference size {cpu['reference size']}x ours")
    print(f"p50 at 1: {results['ours'][1]['p50_ms']:.2f} ms; the reference claims {CLAIM_MS} ms for itself")
    print("answers per CPU-second in process: " + ", ".join(f"batch {b}: {rate:,}" for b, rate in rates.items()))
    print(f"ours and plain gave the same answer to {alike} of 128 problems")
    line = {"benchmark": "arithmetic_service", "results": results, "parameters": sizes, "ratio_at_16": ratios}
    line["cpu_ratio_at_16"] = cpu
    if exhaustive:
        line["wrong_of_all"] = count_wrong(exhaustive)
        print(f"the exported graph answers {line['wrong_of_all']} of all {SPACE:,} problems wrongly")
    print(json.dumps(line | {"answers_per_cpu_s": rates, "trained_weights": trained, "same_answers_of_128": alike}))


def main() -> None:
    """Run the benchmark, or (in a subprocess) one of its servers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scale", type=float, default=1.0, help="factor on the number of requests")
    parser.add_argument("--checkpoint", type=Path, help="default: the shipped one, else random weights")
    parser.add_argument("--exhaustive", action="store_true", help="also ask the graph all 1,500,500 problems")
    parser.add_argument("--role", help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--registry", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.role == "ours":
        from finqa_lab.arithmetic.service.registry import Registry
        from finqa_lab.arithmetic.service.server import serve
        from finqa_lab.arithmetic.service.settings import Settings

        sys.exit(serve(Settings(port=arguments.port), Registry(arguments.registry)))
    if arguments.role:
        serve_plainly(str(arguments.checkpoint), arguments.port)
        return
    with tempfile.TemporaryDirectory() as scratch:
        run(arguments, Path(scratch))


def run(arguments, scratch: Path) -> None:
    """Prepare the checkpoints, start the servers, measure, stop them."""
    from finqa_lab.arithmetic.service.defaults import shipped_checkpoint
    from finqa_lab.arithmetic.service.promotion import Promotion
    from finqa_lab.arithmetic.service.registry import Registry
    from finqa_lab.nn.checkpoint import load_checkpoint

    shipped = arguments.checkpoint or shipped_checkpoint()
    ours = shipped or make_checkpoint(scratch / "random", 64, 2, 4, 256)
    large = make_checkpoint(scratch / "reference", 128, 4, 4, 778)
    registry = Registry(scratch / "registry")
    Promotion(registry).promote(registry.add(ours))
    checkpoints, servers = dict(zip(SYSTEMS, (ours, ours, large))), {}
    sizes = {system: load_checkpoint(folder)[0].parameter_count() for system, folder in checkpoints.items()}
    try:
        for system, checkpoint in checkpoints.items():
            servers[system] = start(system, checkpoint, registry.root)
        alike = same_answers(servers)
        results = measure(servers, arguments.rounds, arguments.scale)
    finally:
        for process, _ in servers.values():
            process.terminate()
            process.wait(30)
    engine = make_engine(ours)
    report(results, sizes, answers_per_cpu_second(engine), shipped is not None, alike, arguments.exhaustive and engine)


if __name__ == "__main__":
    main()
