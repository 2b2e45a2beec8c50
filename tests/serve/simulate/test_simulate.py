"""The virtual clock: exact where the answer is known, and the same steps as the real engine."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import nnls

from finqa_lab.errors import CourseError
from finqa_lab.nn.config import DecoderConfig
from finqa_lab.nn.cost import Cost, pass_cost
from finqa_lab.nn.transformer import Decoder
from finqa_lab.serve.engine import Engine, EngineSettings
from finqa_lab.serve.load.arrivals import poisson
from finqa_lab.serve.load.summary import Slo, summarise
from finqa_lab.serve.simulate import ladder
from finqa_lab.serve.simulate.calibrate import MeasuredStep, _nonnegative, calibrate
from finqa_lab.serve.simulate.machine import StepModel
from finqa_lab.serve.simulate.measuring import _run, measure_closed
from finqa_lab.serve.simulate.steps import Part, step_cost
from finqa_lab.serve.simulate.virtual import Asked, play

TINY = DecoderConfig.llama(64, 16, 2, 2, 32, 256, tied=True)
TEN_MS = StepModel(float("inf"), float("inf"), overhead=0.010)
NO_SHARING = EngineSettings(prefix_cache=False)


def asked(count, prompt=10, output=5, seed=0):
    rng = np.random.default_rng(seed)
    return [Asked(tuple(map(int, rng.integers(0, 64, prompt))), output) for _ in range(count)]


def mixed(count, seed=0):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 90, count), rng.integers(1, 30, count)
    return [Asked(tuple(map(int, rng.integers(0, 64, p))), int(o)) for p, o in zip(*lengths)]


def test_a_step_of_equal_sequences_costs_what_a_batch_costs():
    for new, behind, batch in ((1, 0, 1), (1, 50, 7), (12, 3, 4)):
        wanted = pass_cost(TINY, new, behind, batch, logits=1)
        assert step_cost(TINY, [Part(new, behind)] * batch) == wanted
    half = step_cost(TINY, [Part(1, 9)], element_bytes=2)
    assert 2 * half.bytes == step_cost(TINY, [Part(1, 9)]).bytes
    silent = step_cost(TINY, [Part(8, 0, chooses=False)])  # the middle of a prompt needs no logits
    assert step_cost(TINY, [Part(8, 0)]).operations - silent.operations == 2 * TINY.vocabulary * TINY.width


def test_one_request_takes_a_step_for_each_token():
    played = play(TEN_MS, TINY, asked(1), concurrency=1)
    (record,) = played.records
    assert record.token_times == pytest.approx([0.01, 0.02, 0.03, 0.04, 0.05])
    assert (record.prompt_tokens, record.output_tokens, record.finish_reason) == (10, 5, "length")
    assert played.tokens_a_second == pytest.approx(100)
    assert played.statistics.blocks_free == played.statistics.blocks


def test_a_long_prompt_is_read_in_chunks():
    played = play(TEN_MS, TINY, asked(1, prompt=200, output=2), concurrency=1, settings=EngineSettings(step_tokens=64))
    assert [parts[0].new for _, parts in played.steps] == [64, 64, 64, 8, 1]
    assert played.records[0].ttft == pytest.approx(0.04)


@pytest.mark.parametrize("concurrency", [1, 2, 4, 8])
def test_where_steps_cost_the_same_throughput_is_proportional_to_concurrency(concurrency):
    played = play(TEN_MS, TINY, asked(16, prompt=4, output=10), concurrency=concurrency, settings=NO_SHARING)
    assert played.tokens_a_second == pytest.approx(100 * concurrency)


def test_time_goes_by_while_nobody_asks():
    played = play(TEN_MS, TINY, asked(2, output=1), times=[1.0, 5.0])
    assert [record.planned for record in played.records] == [1.0, 5.0]
    assert [record.ttft for record in played.records] == pytest.approx([0.01, 0.01])


@pytest.mark.parametrize("load", [0.4, 0.7])
def test_one_server_with_a_fixed_service_time_waits_as_the_formula_says(load):
    # M/D/1: mean wait = load * service / (2 (1 - load)) (Pollaczek and Khinchine)
    one_at_a_time = EngineSettings(batch=1, step_tokens=16, waiting=10_000, prefix_cache=False)
    times = poisson(load / 0.010, 6000, seed=1)
    played = play(TEN_MS, TINY, asked(6000, prompt=2, output=1), times=times, settings=one_at_a_time)
    wait = np.mean([record.latency - 0.010 for record in played.records])
    assert wait == pytest.approx(load * 0.010 / (2 * (1 - load)), rel=0.12)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000), st.sampled_from([1, 3, 8]), st.sampled_from([20, 64]))
def test_the_steps_are_those_of_the_real_engine(seed, concurrency, blocks):
    requests = mixed(10, seed)
    chosen = EngineSettings(blocks=blocks, block_size=8, batch=4, step_tokens=48, prefix_cache=False)
    real = _run(Engine(Decoder(TINY).eval(), chosen), requests, concurrency, lambda: 0.0)
    played = play(TEN_MS, TINY, requests, concurrency=concurrency, settings=chosen)
    assert [parts for _, parts in played.steps] == [parts for _, parts in real]


def test_preempted_requests_are_served_whole():
    few = EngineSettings(blocks=14, block_size=8, batch=4, step_tokens=48, prefix_cache=False)
    played = play(TEN_MS, TINY, asked(8, prompt=20, output=25), concurrency=4, settings=few)
    assert played.statistics.preemptions > 0
    assert [record.output_tokens for record in played.records] == [25] * 8
    assert played.statistics.blocks_free == 14


def test_a_shared_beginning_saves_the_prompts_time():
    prompt = tuple(range(60))
    requests = [Asked((*prompt, number), 2) for number in range(6)]
    slow_reader = StepModel(float("inf"), 1e7)
    with_cache = play(slow_reader, TINY, requests, concurrency=1)
    without = play(slow_reader, TINY, requests, concurrency=1, settings=NO_SHARING)
    assert with_cache.statistics.cached_tokens == 5 * 48  # whole blocks of 16
    assert with_cache.seconds < 0.5 * without.seconds


def test_under_overload_admission_control_bounds_the_wait_of_those_who_are_served():
    times = poisson(100, 600, seed=2)  # each takes 5 steps of 10 ms in a batch of 2: 40 a second can be served
    requests = asked(600, prompt=4)
    bounded = play(TEN_MS, TINY, requests, times=times, settings=EngineSettings(batch=2, waiting=4, prefix_cache=False))
    open_door = play(
        TEN_MS, TINY, requests, times=times, settings=EngineSettings(batch=2, waiting=600, prefix_cache=False)
    )
    good, bad = (summarise(one.records, Slo(ttft=0.25, tpot=0.1)) for one in (bounded, open_door))
    assert good.refused > 200 and bad.refused == 0
    assert good.ttft["p95"].value < 0.25 < 1 < bad.ttft["p95"].value
    assert good.goodput > 5 * bad.goodput
    assert bounded.statistics.refused == good.refused == sum(record.status == 429 for record in bounded.records)


def test_a_refused_worker_comes_back_and_everyone_gets_one_answer():
    tight = EngineSettings(batch=1, step_tokens=16, waiting=1, prefix_cache=False)
    played = play(TEN_MS, TINY, asked(12), concurrency=6, settings=tight)
    assert sorted(record.index for record in played.records) == list(range(12))
    assert any(record.status == 429 for record in played.records)


def test_a_simulation_is_the_same_every_time():
    machine = StepModel(1e8, 1e9, 0.001, 0.0002)
    times = poisson(20, 40, seed=5)
    first, second = (play(machine, TINY, mixed(40), times=times) for _ in range(2))
    assert first == second


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "either their times or a concurrency"),
        ({"times": [0.0, 1.0], "concurrency": 1}, "either their times or a concurrency"),
        ({"times": [0.0]}, "one time each"),
        ({"times": [1.0, 0.0]}, "rising order"),
        ({"concurrency": 0}, "closed loop of 0"),
    ],
)
def test_what_cannot_be_played_is_refused(options, message):
    with pytest.raises(CourseError, match=message):
        play(TEN_MS, TINY, asked(2), **options)


def test_a_request_that_the_engine_refuses_for_its_size_is_an_error():
    with pytest.raises(CourseError, match="context holds 256"):
        play(TEN_MS, TINY, asked(1, prompt=300), concurrency=1)


def synthetic(model, noise=0.0, count=200, seed=0):
    rng = np.random.default_rng(seed)
    steps = []
    for _ in range(count):
        parts = [Part(1, int(rng.integers(1, 200))) for _ in range(rng.integers(1, 17))]
        parts += [Part(int(rng.integers(2, 120)), 0) for _ in range(rng.integers(0, 3))]
        cost = step_cost(TINY, parts)
        shape = len(parts), sum(part.new for part in parts)
        steps.append(MeasuredStep(cost, *shape, model.seconds(cost, *shape) * (1 + noise * rng.exponential())))
    return steps


def test_calibration_finds_the_machine_that_made_the_steps():
    truth = StepModel(bandwidth=5e7, rate=2e8, overhead=0.002, sequence_overhead=0.0003, matrix_overhead=0.001)
    found = calibrate(synthetic(truth))
    for name in ("bandwidth", "rate", "overhead", "sequence_overhead", "matrix_overhead"):
        assert getattr(found.model, name) == pytest.approx(getattr(truth, name), rel=1e-4)
    assert found.worst < 1e-5 and 0.1 < found.by_operations < 0.9
    noisy = calibrate(synthetic(truth, noise=0.05))
    assert noisy.model.rate == pytest.approx(truth.rate, rel=0.15) and noisy.error < 0.06


def test_a_ceiling_that_no_step_meets_is_infinite():
    found = calibrate(synthetic(StepModel(1e5, 1e12, 0.001)))
    assert found.model.rate == float("inf") and found.by_operations == 0
    assert found.model.bandwidth == pytest.approx(1e5, rel=1e-4)


def test_a_bare_roofline_has_no_overheads_and_says_how_wrong_it_is():
    found = calibrate(synthetic(StepModel(5e7, 2e8, 0.02)), overheads=False)
    assert found.model == StepModel(found.model.bandwidth, found.model.rate)
    assert found.error > 0.05


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6))
def test_least_squares_without_negative_unknowns_are_scipys(seed):
    rng = np.random.default_rng(seed)
    columns, wanted = rng.normal(size=(12, 4)), rng.normal(size=12)
    assert _nonnegative(columns, wanted) == pytest.approx(nnls(columns, wanted)[0], abs=1e-9)


@pytest.mark.parametrize("steps", [[], [MeasuredStep(Cost(1, 1, 1), 1, 1, 1.0)] * 4])
def test_steps_that_do_not_determine_a_machine_are_refused(steps):
    with pytest.raises(CourseError, match="do not determine"):
        calibrate(steps)


def test_the_odd_step_that_a_coarse_clock_did_not_see_is_left_out_and_many_are_refused():
    seen = synthetic(StepModel(bandwidth=5e7, rate=2e8, overhead=0.002))
    unseen = replace(seen[0], seconds=0.0)
    assert len(seen) >= 100 and calibrate([*seen, unseen]) == calibrate(seen)
    with pytest.raises(CourseError, match="20 of .* steps took no time by this clock"):
        calibrate([*seen, *[unseen] * 20])


def test_steps_of_a_real_engine_are_measured_with_the_least_of_their_times():
    ticks = iter(range(10**6))
    model = Decoder(TINY).eval()
    requests = asked(4, prompt=6, output=3)
    found = measure_closed(lambda: Engine(model, NO_SHARING), requests, 2, repeats=2, clock=lambda: float(next(ticks)))
    assert found.tokens == 12 and len(found.steps) == 6
    assert [step.seconds for step in found.steps] == [1.0] * 6
    assert [step.sequences for step in found.steps] == [2] * 6
    assert found.tokens_a_second == 2.0
    played = play(calibrate_constant(), TINY, requests, concurrency=2, settings=NO_SHARING)
    assert played.tokens_a_second == pytest.approx(found.tokens_a_second)


def calibrate_constant():
    return StepModel(float("inf"), float("inf"), overhead=1.0)


def test_the_diarys_table_is_explained_within_the_stated_error_and_not_by_weights_alone():
    found = ladder.explain()
    for workers, rate in ladder.DIARY.items():
        assert abs(found.predicted[workers] / rate - 1) <= found.error + 1e-12
    assert found.error < 0.21
    assert ladder.weights_alone()[8] / ladder.DIARY[8] > 3.7


def test_estimates_for_a_gpu_lie_below_its_ceiling_and_grow_with_concurrency():
    ceiling = ladder.decode_rates(ladder.A10G, ladder.LLAMA_3B, (1, 2, 4, 8, 16))
    low = ladder.decode_rates(ladder.reaching(ladder.A10G, 0.4), ladder.LLAMA_3B, (1, 2, 4, 8, 16))
    assert all(low[count] == pytest.approx(0.4 * ceiling[count]) for count in ceiling)
    assert list(ceiling.values()) == sorted(ceiling.values())
    weights = 2 * 3.2e9
    assert ceiling[1] == pytest.approx(600e9 / weights, rel=0.05)
