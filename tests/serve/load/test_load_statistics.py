"""Percentiles, lines and summaries, against scipy and numpy, and their intervals against the truth."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from finqa_lab.errors import CourseError
from finqa_lab.serve.load.analysis import drift, first_token_by_prompt, latency_by_output, throughput_over_time
from finqa_lab.serve.load.fits import fit_line, student_cdf, student_quantile
from finqa_lab.serve.load.quantiles import _ranks, bootstrap, quantile
from finqa_lab.serve.load.record import RequestRecord
from finqa_lab.serve.load.summary import Slo, percentiles, summarise
from finqa_lab.serve.load.table import Row, rows_of


@pytest.mark.parametrize("size", [1, 5, 20, 100, 2000, 20_000])
@pytest.mark.parametrize("q", [0.01, 0.5, 0.95, 0.99])
def test_ranks_are_those_of_the_binomial_distribution(size, q):
    low, high = _ranks(size, q, 0.025)
    binomial = stats.binom(size, q)
    assert low == 0 or binomial.cdf(low - 1) <= 0.025
    assert binomial.cdf(low) > 0.025
    assert high == size + 1 or binomial.sf(high - 1) <= 0.025 + 1e-12
    assert high == 1 or binomial.sf(high - 2) > 0.025


@pytest.mark.parametrize("q", [0.5, 0.95])
def test_the_interval_of_a_quantile_covers_the_truth_as_often_as_it_says(q):
    rng, covered = np.random.default_rng(0), 0
    truth = stats.lognorm(1.0).ppf(q)
    for _ in range(400):
        found = quantile(rng.lognormal(size=80), q)
        covered += found.low <= truth <= found.high
    assert 0.95 - 0.03 <= covered / 400  # it may cover more often: ranks are whole numbers
    assert covered / 400 < 1.0


def test_a_quantile_is_numpys_and_its_interval_is_open_where_the_sample_ends():
    sample = np.random.default_rng(1).exponential(size=60)
    found = quantile(sample, 0.99)
    assert found.value == np.quantile(sample, 0.99)
    assert found.high == math.inf and found.low > -math.inf
    assert quantile(sample, 0.01).low == -math.inf
    assert set(percentiles(list(sample))) == {"p50", "p95", "p99"} and percentiles([]) == {}


@pytest.mark.parametrize("sample", [[], [1.0, math.nan], [math.inf]])
def test_a_sample_that_has_no_quantile_is_refused(sample):
    with pytest.raises(CourseError, match="needs finite observations"):
        quantile(sample, 0.5)


def mean(rows):
    return rows.mean(axis=1)


def test_the_bootstrap_of_a_mean_is_close_to_the_textbooks_interval():
    sample = np.random.default_rng(2).normal(10, 2, 400)
    found = bootstrap(sample, mean, seed=1)
    half = 1.96 * sample.std(ddof=1) / 20
    assert found.value == pytest.approx(sample.mean())
    assert found.low == pytest.approx(sample.mean() - half, abs=0.05)
    assert found.high == pytest.approx(sample.mean() + half, abs=0.05)


def test_blocks_widen_the_interval_where_neighbours_are_alike_and_only_there():
    rng = np.random.default_rng(3)
    walk = [0.0]
    for noise in rng.normal(size=1999):
        walk.append(0.95 * walk[-1] + noise)

    def width(sample, block):
        found = bootstrap(sample, mean, block=block)
        return found.high - found.low

    assert width(walk, 100) > 3 * width(walk, 1)
    independent = rng.normal(size=2000)
    assert width(independent, 100) < 1.4 * width(independent, 1)


def test_blocks_that_do_not_fit_are_refused():
    with pytest.raises(CourseError, match="blocks of 4"):
        bootstrap([1.0, 2.0, 3.0], mean, block=4)


@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 7, 30, 199, 1000])
def test_students_distribution_is_scipys(degrees):
    for t in (0.0, 0.3, 1.0, 2.5, 9.0):
        assert student_cdf(t, degrees) == pytest.approx(stats.t.cdf(t, degrees), abs=1e-12)
    for probability in (0.6, 0.975, 0.999):
        assert student_quantile(probability, degrees) == pytest.approx(stats.t.ppf(probability, degrees), rel=1e-9)


@settings(max_examples=60, deadline=None)
@given(st.integers(3, 60), st.integers(0, 10**6))
def test_a_line_is_that_of_scipy_and_numpy(points, seed):
    rng = np.random.default_rng(seed)
    x = rng.uniform(-5, 100, points)
    y = 3 + 0.2 * x + rng.normal(size=points)
    line, wanted = fit_line(x, y), stats.linregress(x, y)
    assert [line.slope.value, line.intercept.value] == pytest.approx(np.polyfit(x, y, 1))
    t = stats.t.ppf(0.975, points - 2)
    assert line.slope.high - line.slope.value == pytest.approx(t * wanted.stderr)
    assert line.intercept.high - line.intercept.value == pytest.approx(t * wanted.intercept_stderr)
    assert line.r_squared == pytest.approx(wanted.rvalue**2)
    assert line.at(2.0) == pytest.approx(np.polyval(np.polyfit(x, y, 1), 2.0))


def test_the_interval_of_a_slope_covers_the_truth_as_often_as_it_says():
    rng, covered = np.random.default_rng(4), 0
    for _ in range(600):
        x = rng.uniform(0, 10, 12)
        covered += (line := fit_line(x, 1 + 0.5 * x + rng.normal(size=12))).slope.low <= 0.5 <= line.slope.high
    assert covered / 600 == pytest.approx(0.95, abs=0.03)


@pytest.mark.parametrize(
    ("x", "y"), [([1, 2], [1, 2]), ([1, 1, 1], [1, 2, 3]), ([1, 2, 3], [1, 2]), ([1, 2, math.nan], [1, 2, 3])]
)
def test_points_without_a_line_are_refused(x, y):
    with pytest.raises(CourseError, match="a line needs"):
        fit_line(x, y)


def served(index, planned=0.0, ttft=0.1, tpot=0.01, tokens=11, **values):
    first = planned + ttft
    times = tuple(first + tpot * number for number in range(tokens))
    fields = {"prompt_tokens": 20, "output_tokens": tokens, "status": 200} | values
    return RequestRecord(index, 0, planned, planned, times, times[-1], **fields)


def test_a_summary_counts_every_request_once():
    records = [
        served(0),
        served(1, planned=1.0, ttft=0.5),
        served(2, planned=2.0, tpot=0.1),
        RequestRecord(3, 0, 2.0, 2.5, (), 2.6, 429, retry_after=1.0),
        RequestRecord(4, 0, 2.0, 2.0, (), 4.0, 0, error="no whole reply"),
        RequestRecord(5, 0, 2.0, 2.0, (), 2.2, 200),
    ]
    found = summarise(records, Slo(ttft=0.3, tpot=0.05))
    assert (found.requests, found.served, found.refused, found.failed, found.empty) == (6, 3, 1, 1, 1)
    assert found.seconds == 4.0 and found.tokens_a_second == pytest.approx(33 / 4)
    assert found.requests_a_second == 3 / 4 and found.goodput == 1 / 4
    assert (found.within.hits, found.within.total) == (1, 6)
    assert found.late == 0.5
    assert found.ttft["p50"].value == pytest.approx(0.1)
    assert found.tpot["p50"].value == pytest.approx(0.01)
    assert found.as_dict()["ttft"]["p99"]["high"] is None  # nothing is known above the slowest of three
    assert summarise(records).goodput is None


def test_runs_whose_clocks_differ_are_not_mixed():
    with pytest.raises(CourseError, match="exactly one run"):
        summarise([served(0), RequestRecord(1, 1, 0.0, 0.0, (), 0.1, 200)])
    with pytest.raises(CourseError, match="exactly one run"):
        summarise([])


def test_a_run_that_was_refused_in_no_time_has_rates_of_zero():
    found = summarise([RequestRecord(0, 0, 1.0, 1.0, (), 1.0, 429)], Slo(1, 1))
    assert (found.tokens_a_second, found.requests_a_second, found.goodput, found.ttft) == (0, 0, 0, {})


def test_rows_leave_out_what_was_not_served_whole_or_not_counted():
    records = [served(0), served(1, planned=-1.0), served(2, status=0), served(3, prompt_tokens=None),
               RequestRecord(4, 0, 0.0, 0.0, (), 0.1, 200, prompt_tokens=5),
               RequestRecord(5, 1, 0.0, 0.0, (0.1,), 0.1, 200, prompt_tokens=5)]  # fmt: skip
    assert [row.begin for row in rows_of(records)] == [-1.0, 0.0]
    assert len(rows_of(records, run=1)) == 1


def steady_rows(seconds=60, gap=0.5, slowing=0.0):
    rows = []
    for number in range(int(seconds / gap)):
        begin, tokens, prompt = number * gap, 20 + 7 * (number % 5), 100 + 50 * (number % 7)
        each = 0.02 * (1 + slowing * begin / seconds)
        rows.append(Row(begin, 0.05 + 0.001 * prompt + each * tokens, 0.05 + 0.001 * prompt, prompt, tokens))
    return rows


def test_the_three_plots_find_the_lines_that_the_rows_were_made_with():
    rows = steady_rows()
    plot = first_token_by_prompt(rows)
    assert (plot.line.slope.value, plot.line.intercept.value) == pytest.approx((0.001, 0.05))
    assert plot.line.r_squared == pytest.approx(1)
    assert latency_by_output(rows).line.slope.value == pytest.approx(0.02, rel=0.3)  # prompts differ as well
    over_time = throughput_over_time(rows)
    assert over_time.line.slope.low < 0 < over_time.line.slope.high and abs(drift(over_time)) < 0.05
    assert np.mean(over_time.y) == pytest.approx(34 / 0.5, rel=0.05)
    assert rows[0].decode_rate == pytest.approx(19 / 0.4)


def test_a_server_that_slows_down_shows_in_its_throughput():
    rows = []
    begin = 0.0
    while begin < 60:  # closed loop: the next request comes when the last is done
        each = 0.02 * (1 + begin / 60)
        rows.append(Row(begin, 0.1 + each * 30, 0.1, 100, 30))
        begin = rows[-1].end
    plot = throughput_over_time(rows)
    assert plot.line.slope.high < 0 and drift(plot) < -0.2


def test_all_tokens_are_counted_once_whatever_the_windows():
    rows = [*steady_rows(20), Row(3.0, 1.0, 1.0, 10, 500)]
    for windows in (7, 20, 33):
        plot = throughput_over_time(rows, windows)
        assert len(plot.x) == windows - 2
    everything = throughput_over_time(
        [Row(0, 1.0, 0.0, 1, 90), Row(9.0, 1.0, 0.0, 1, 10), Row(5.0, 0.0, 0.0, 1, 7)], 10
    )
    assert sum(everything.y) == pytest.approx(7)


def test_no_rows_have_no_plot():
    with pytest.raises(CourseError, match="0 rows"):
        throughput_over_time([])
    with pytest.raises(CourseError, match="at different places"):
        latency_by_output([Row(0, 1, 0.1, 5, 9)] * 4)
