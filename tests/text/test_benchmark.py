"""The benchmark runs as its docstring says; it asserts equal merges and equal ids before it prints a time."""

import json
import subprocess
import sys

from finqa_lab.files import REPOSITORY


def test_the_benchmark_runs_small_and_ends_in_one_json_line():
    small = ["--bytes", "150000", "--vocabulary", "500", "--repeats", "1", "--recount-merges", "2"]
    command = [sys.executable, str(REPOSITORY / "benchmarks" / "tokenizer.py"), *small]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["bytes"] == 150_000 and result["vocabulary"] == 500
    assert {"train_ratio", "train_ratio_one_thread", "encode_speed_ratio"} <= set(result)
    assert "244 with tokenizers, 2 with the recount" in done.stdout
