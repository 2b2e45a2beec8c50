"""Load from the command line, against any server with OpenAI's interface, and what a log says.

    python -m finqa_lab.serve.load send http://127.0.0.1:8000/v1 --model finqa-tiny --rate 4 --out build/open.jsonl
    python -m finqa_lab.serve.load send http://gpu:8000/v1 --model llama --concurrency 8 --out build/closed.jsonl
    python -m finqa_lab.serve.load report build/open.jsonl --ttft 0.5 --tpot 0.05
    python -m finqa_lab.serve.load report server.log --ollama

The last line printed is JSON. What is asked are questions of the course's quantitative tasks, or the bodies of a file.
A run that was interrupted goes on when the same command is given again.
"""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from finqa_lab.errors import CourseError
from finqa_lab.serve.load.analysis import Plot, drift, first_token_by_prompt, latency_by_output, throughput_over_time
from finqa_lab.serve.load.arrivals import poisson, replayed
from finqa_lab.serve.load.client import Target
from finqa_lab.serve.load.generator import send_closed, send_open
from finqa_lab.serve.load.journal import read_log
from finqa_lab.serve.load.ollama_log import read_ollama_log
from finqa_lab.serve.load.summary import Slo, summarise
from finqa_lab.serve.load.table import Row, rows_of


def main(arguments: Sequence[str] | None = None) -> int:
    """Send or report; 0 done, 2 a mistake that the reader can mend."""
    parser = argparse.ArgumentParser(prog="python -m finqa_lab.serve.load", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    send = commands.add_parser("send", help="send load and write a log")
    send.add_argument("url", help="base address, with /v1")
    send.add_argument("--model", required=True, help="name that the server knows the model by")
    how = send.add_mutually_exclusive_group(required=True)
    how.add_argument("--rate", type=float, help="open loop: Poisson arrivals a second")
    how.add_argument("--trace", type=Path, help="open loop: a log of ours whose arrivals are replayed")
    how.add_argument("--concurrency", type=int, help="closed loop: requests on the way")
    send.add_argument("--requests", type=int, default=100)
    send.add_argument("--max-tokens", type=int, default=64)
    send.add_argument("--bodies", type=Path, help="JSON lines, each with messages or a prompt; default: questions")
    send.add_argument("--seed", type=int, default=0)
    send.add_argument("--timeout", type=float, default=120.0, help="seconds for a whole reply")
    send.add_argument("--api-key-env", help="environment variable with the key")
    send.add_argument("--out", type=Path, required=True, help="the log")
    send.set_defaults(run=run_send)
    report = commands.add_parser("report", help="what a log says")
    report.add_argument("log", type=Path)
    report.add_argument("--ollama", action="store_true", help="it is the log of an Ollama server")
    report.set_defaults(run=run_report)
    for one in (send, report):
        one.add_argument("--ttft", type=float, default=1.0, help="SLO: seconds to the first token")
        one.add_argument("--tpot", type=float, default=0.1, help="SLO: seconds a further token")
    options = parser.parse_args(arguments)
    try:
        options.run(options)
    except CourseError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def run_send(options) -> None:
    """Send, then report on the log."""
    headers = {}
    if options.api_key_env:
        if options.api_key_env not in os.environ:
            raise CourseError(f"the environment variable {options.api_key_env} is not set; put the API key there")
        headers["Authorization"] = f"Bearer {os.environ[options.api_key_env]}"
    target = Target(options.url.rstrip("/"), options.model, options.timeout, headers)
    if options.concurrency is not None:
        asyncio.run(send_closed(target, bodies(options), options.concurrency, options.out))
    else:
        if options.trace is not None:
            times = replayed(sorted(record.planned for record in read_log(options.trace).records if record.run == 0))
            options.requests = len(times)
        else:
            times = poisson(options.rate, options.requests, options.seed)
        asyncio.run(send_open(target, bodies(options), times, options.out))
    options.log, options.ollama = options.out, False
    run_report(options)


def bodies(options) -> list[dict]:
    """What is asked: the lines of a file, or questions, repeated as often as needed.

    Raises:
        CourseError: when a line of the file is no JSON object.
    """
    if options.bodies is None:
        from finqa_lab.quantitative.dataset import dataset

        found = [{"messages": sample.messages("number")[:-1]} for sample in dataset(options.seed).validation]
    else:
        try:
            found = [json.loads(line) for line in options.bodies.read_text(encoding="utf-8").splitlines() if line]
        except (OSError, ValueError) as error:
            raise CourseError(f"{options.bodies} cannot be read as JSON lines: {error}") from None
        if not found or not all(isinstance(body, dict) for body in found):
            raise CourseError(f"{options.bodies} must have a JSON object on every line")
    common = {"max_tokens": options.max_tokens, "temperature": 0}
    return [common | found[number % len(found)] for number in range(options.requests)]


def run_report(options) -> None:
    """Print tables and the JSON line."""
    if options.ollama:
        log = read_ollama_log(options.log)
        facts = {"rows": len(log.rows), "failures": len(log.failures()), "malformed": log.malformed, "other": log.other}
        print(f"{len(log.rows)} replies, {len(log.failures())} failed requests, {len(log.malformed)} malformed lines")
        rows = log.rows
    else:
        records = read_log(options.log).records
        facts = {"runs": []}
        for run in sorted({record.run for record in records}):
            found = summarise([record for record in records if record.run == run], Slo(options.ttft, options.tpot))
            facts["runs"].append(found.as_dict())
            print(
                f"run {run}: {found.served} of {found.requests} served, {found.refused} refused, {found.failed} failed"
            )
            print(f"  {found.tokens_a_second:.1f} tokens/s, goodput {found.goodput:.2f} requests/s")
            for name, interval in found.ttft.items():
                print(f"  first token {name}: {interval} s")
        rows = rows_of(records)
    facts["lines"] = lines(rows)
    print(json.dumps(facts))


def lines(rows: Sequence[Row]) -> dict:
    """The three fits, printed; what cannot be fitted is left out with its reason."""
    found = {}
    for study in (latency_by_output, first_token_by_prompt, throughput_over_time):
        try:
            plot: Plot = study(rows)
        except CourseError as error:
            print(f"{study.__name__}: {error}")
            continue
        line = plot.line
        print(
            f"{plot.y_label} against {plot.x_label}: slope {line.slope}, R2 {line.r_squared:.3f}, {line.points} points"
        )
        found[study.__name__] = {"slope": [line.slope.value, line.slope.low, line.slope.high],
                                 "intercept": [line.intercept.value, line.intercept.low, line.intercept.high],
                                 "r_squared": line.r_squared, "points": line.points}  # fmt: skip
        if study is throughput_over_time:
            found[study.__name__]["drift"] = drift(plot)
    return found


if __name__ == "__main__":
    sys.exit(main())
