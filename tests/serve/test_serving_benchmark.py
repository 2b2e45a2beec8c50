"""The tables of benchmarks/serving.py, from measurements that are made up."""

import importlib
import sys

import pytest

from finqa_lab.files import REPOSITORY


@pytest.fixture(scope="module")
def benchmark():
    sys.path.insert(0, str(REPOSITORY / "benchmarks"))
    try:
        yield importlib.import_module("serving")
    finally:
        sys.path.remove(str(REPOSITORY / "benchmarks"))
        for name in ("serving", "serving_peers"):
            sys.modules.pop(name, None)


def row(speed, cpu, *texts):
    return {"tokens_a_second": speed, "tokens_a_cpu_second": cpu, "texts": list(texts)}


def test_the_table_has_the_best_round_and_counts_equal_replies_of_all_rounds(benchmark):
    rounds = {
        "serial": {8: [row(10, 20, "a", " b"), row(12, 18, "c", "d")]},
        "ours": {8: [row(30, 70, "a", "b"), row(50, 60, "c", "x")]},
        "llama": {4: [row(1, 2, "a")]},
    }
    table = {one["peer"]: one for one in benchmark.tabulate(rounds)}
    assert (table["ours"]["tokens_a_second"], table["ours"]["tokens_a_cpu_second"]) == (50, 70)
    assert table["ours"]["rounds"] == [30, 50] and table["ours"]["same"] == 0.75
    assert table["serial"]["same"] == 1.0 and "same" not in table["llama"]
    assert "texts" not in table["ours"]


def test_ratios_compare_servers_with_servers_and_the_engine_with_what_has_none(benchmark):
    speeds = {"ours": 6, "ours one at a time": 2, "mlx": 3, "llama": 4, "engine": 10, "serial": 5, "transformers": 4}
    rows = [{"peer": peer, "concurrency": 8, "tokens_a_second": speed} for peer, speed in speeds.items()]
    assert benchmark.ratios(rows, "tokens_a_second") == {
        "ours / ours one at a time at 8": 3.0,
        "ours / mlx at 8": 2.0,
        "ours / llama at 8": 1.5,
        "engine / serial at 8": 2.0,
        "engine / transformers at 8": 2.5,
    }


def test_every_peer_gets_the_same_prompts_and_none_twice(benchmark):
    work = benchmark.Workload([[number] for number in range(6)], each=2)
    assert [work.take("ours"), work.take("ours")] == [[[0], [1]], [[2], [3]]]
    assert work.take("llama") == [[0], [1]]
