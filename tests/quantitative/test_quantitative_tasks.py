"""Every task against an oracle of its own, and against its known mistakes."""

import ast
import json
import math
import operator
import random
import re
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from statistics import NormalDist, fmean, pstdev
from string import Formatter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finqa_lab.errors import CourseError
from finqa_lab.quantitative.dataset import HELD_OUT, TASKS, dataset
from finqa_lab.quantitative.dsl import execute, run
from finqa_lab.quantitative.replies import Reading, read_reply
from finqa_lab.quantitative.scoring import judge, within
from finqa_lab.quantitative.spelling import WORDS, read_spelled, shown
from finqa_lab.quantitative.task import FAMILIES, PLACES, answer_of, draw_until, make, printed


def drawn(name, seeds=range(60)):
    """Parameters of a task for every seed and difficulty."""
    return [TASKS[name].draw(random.Random(f"{seed}"), difficulty) for seed in seeds for difficulty in (1, 2, 3)]


def answer(name, parameters):
    return answer_of(execute(TASKS[name].program(parameters)), TASKS[name].unit)


@lru_cache(maxsize=2)
def everything(seed):
    return [sample for split in dataset(seed).named().values() for sample in split]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_every_program_executes_to_its_answer_and_no_answer_is_zero(seed):
    samples = everything(seed)
    assert len(samples) == 1500
    for sample in samples:
        result = execute(sample.program)
        if sample.unit == "name":
            assert result.value == sample.answer
        else:
            assert result.failure is None and math.isfinite(sample.answer) and sample.answer > 0
            assert round(float(result.exact), PLACES[sample.unit]) == sample.answer
            # FinQA's rounding to five decimals, then to the unit's, is never more than the last place off.
            assert abs(result.value - sample.answer) <= 0.5001 * 10.0 ** -PLACES[sample.unit]


def test_compounding_is_a_balance_that_grows_credit_by_credit():
    for p in drawn("compounding"):
        balance = float(p["principal"])
        for _ in range(p["years"] * p["credits"]):
            balance += balance * float(p["rate"]) / p["credits"]
        expected = balance - float(p["principal"]) * (p["asked"] == "interest")
        assert answer("compounding", p) == pytest.approx(expected, abs=0.00501)


@settings(deadline=None)
@given(st.lists(st.decimals("1", "1000", places=1), min_size=2, max_size=8))
def test_drawdown_is_the_largest_fall_over_all_pairs(series):
    series = tuple(series)
    falls = [(a - b) / a for i, a in enumerate(map(float, series)) for b in map(float, series[i:])]
    result = execute(TASKS["drawdown"].program({"series": series}))
    assert float(result.exact) == pytest.approx(max(falls), abs=1e-12)
    prices = np.array(series, dtype=float)
    assert float(result.exact) == pytest.approx(np.max(1 - prices / np.maximum.accumulate(prices)), abs=1e-12)


def test_sharpe_is_mean_over_deviation_of_returns_that_have_these_moments():
    for p in drawn("sharpe"):
        ratios = {}
        for name, (period, mean, deviation) in zip(p["names"], p["assets"]):
            returns = [float(mean) + sign * float(deviation) for sign in (1, -1)] * 6
            excess = [value - float(p["free"]) for value in returns]
            ratios[name] = fmean(excess) / pstdev(excess) * (math.sqrt(12) if period == "monthly" else 1)
        assert answer("sharpe", p) == max(ratios, key=ratios.get)


def test_volatility_is_that_of_a_sum_of_independent_returns():
    """A sum of m coins of plus or minus sigma is binomial; its deviation comes from the distribution itself."""
    for p in drawn("volatility"):
        count = {"daily": 252, "weekly": 52, "monthly": 12}[p["period"]]
        sigma = math.sqrt(p["value"]) if p["measure"] == "variance" else float(p["value"])
        weights = np.array([math.comb(count, k) / 2**count for k in range(count + 1)])
        sums = sigma * (2 * np.arange(count + 1) - count)
        expected = math.sqrt(np.sum(weights * sums**2) - np.sum(weights * sums) ** 2)
        assert answer("volatility", p) == pytest.approx(expected, abs=0.51e-5)


def test_sizing_is_the_largest_position_that_keeps_its_limits():
    for p in drawn("sizing"):

        def fits(shares, p=p):
            loses = shares * abs(p["entry"] - p["stop"]) <= p["account"] * p["risk"]
            return loses and ("cap" not in p or shares * p["entry"] <= p["account"] * p["cap"])

        shares = int(answer("sizing", p))
        assert fits(Decimal(shares)) and not fits(Decimal(shares + 1))


def test_ranking_is_by_the_risk_of_a_year_or_by_value_at_risk():
    for p in drawn("ranking"):
        periods = {"yearly": 1, "monthly": 12, "weekly": 52, "daily": 252}
        quantile = NormalDist().inv_cdf(0.95)
        risks = [
            quantile * float(position) * float(d) if position else float(d) * np.sqrt(periods[period])
            for period, d, position in p["assets"]
        ]
        order = [p["names"][i] for i in np.argsort(risks)[::-1]]
        assert answer("ranking", p) == (" > ".join(order) if p["assets"][0][2] else order[0])


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_known_mistakes_are_judged_wrong_and_named(seed):
    for sample in everything(seed):
        assert set(TASKS[sample.task].sure) <= set(sample.mistakes)
        for name, wrong in sample.mistakes.items():
            outcome = judge(sample, Reading(wrong, "json"))
            assert not outcome.within and not outcome.exact, (sample.id, name)
            assert name in outcome.mistake


def test_simple_interest_a_forgotten_root_and_the_previous_value_are_wrong_on_every_sample():
    guaranteed = {
        "compounding": "simple interest",
        "volatility": "no square root",
        "drawdown": "from the previous value",
    }
    for sample in everything(3):
        if sample.task in guaranteed:
            wrong = sample.mistakes[guaranteed[sample.task]]
            assert not judge(sample, read_reply(json.dumps({"answer": wrong}))).within


def test_mistakes_by_hand():
    p = {"principal": Decimal(1000), "rate": Decimal("0.1"), "years": 2, "credits": 1, "asked": "balance"}
    assert answer("compounding", p) == 1210 and TASKS["compounding"].mistakes(p)["simple interest"] == 1200
    p = {"series": tuple(map(Decimal, (100, 120, 90, 95, 60, 80)))}
    assert answer("drawdown", p) == 0.5
    wrong = TASKS["drawdown"].mistakes(p)
    assert wrong["from the previous value"] == pytest.approx(35 / 95)
    assert wrong["from the start to the end"] == pytest.approx(0.2)
    p = {"period": "daily", "measure": "deviation", "value": Decimal("0.01")}
    assert answer("volatility", p) == 0.15875 and TASKS["volatility"].mistakes(p)["no square root"] == 2.52
    p = {"account": Decimal(10_000), "risk": Decimal("0.01"), "entry": Decimal(50), "stop": Decimal(53)}
    assert answer("sizing", p) == 33 and answer("sizing", {**p, "cap": Decimal("0.1")}) == 20


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_phrasings_are_enough_and_each_states_everything(task):
    assert set(task.phrasings) == set(FAMILIES) and len(FAMILIES) >= 4
    phrasings = [text for texts in task.phrasings.values() for text in texts]
    assert len(set(phrasings)) == len(phrasings) >= 8
    fields = [sorted(field for _, field, _, _ in Formatter().parse(text) if field) for text in phrasings]
    assert all(found == fields[0] for found in fields)


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_the_held_out_family_has_words_of_its_own(task):
    """Content words of its sentences that no other family of the task uses."""
    rng = random.Random(0)
    parameters = task.draw(rng, 3)
    texts = {
        family: " ".join(text.format(**task.words(parameters, rng, family)) for text in task.phrasings[family])
        for family in FAMILIES
    }
    words = {family: set(re.findall(r"[a-z]{3,}", text.lower())) for family, text in texts.items()}
    held_out = HELD_OUT[task.name]
    others = set().union(*(words[family] for family in FAMILIES if family != held_out))
    assert len(words[held_out] - others) >= 5


OPERATORS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: pow,
}


def calculated(text):
    """Value of an expression of worked steps, by a reader that shares nothing with the library."""

    def value(node):
        match node:
            case ast.Constant(value=number):
                return number
            case ast.Call(func=ast.Name(id="sqrt"), args=[argument]):
                return math.sqrt(value(argument))
            case ast.BinOp(left=left, op=op, right=right):
                return OPERATORS[type(op)](value(left), value(right))
        raise AssertionError(f"{text!r} is no expression of worked steps")

    return value(ast.parse(text.replace("^", "**"), mode="eval").body)


@pytest.mark.parametrize("seed", [0, 1])
def test_worked_steps_are_true_and_end_in_the_answer(seed):
    equations = 0
    for sample in everything(seed):
        lines = sample.reasoning.splitlines()
        assert lines[-1] == f"answer: {sample.printed}" and len(lines) >= 3
        for line in lines[:-1]:
            for left, right in re.findall(r"((?:sqrt\(|[(\d])[\d.()+\-*/^ sqrt]*?) = ([\d.]+\d|\d)", line):
                assert calculated(left) == pytest.approx(float(right), rel=2e-6, abs=0.006), (sample.id, line)
                equations += 1
            if "=" in line:
                assert " = " in line and re.search(r"[\d)] = \d", line)
        if sample.unit != "name":
            last = float(re.findall(r"[\d.]*\d", lines[-2])[-1])
            assert round(last, PLACES[sample.unit]) == pytest.approx(
                sample.answer, abs=1.01 * 10.0 ** -PLACES[sample.unit]
            )
    assert equations > 3000


def test_steps_rounded_as_they_are_shown_stay_far_inside_one_percent():
    for sample in everything(0):
        if sample.unit != "name":
            value = run(sample.program, lambda number: Fraction(shown(number)))[-1]
            assert float(value) == pytest.approx(sample.answer, rel=1e-3)


def test_messages_have_the_target_that_is_asked_for():
    for sample in everything(0)[:120]:
        system, user, assistant = sample.messages()
        assert [m["role"] for m in (system, user, assistant)] == ["system", "user", "assistant"]
        assert user["content"] == sample.question and json.loads(assistant["content"]) == {"answer": sample.answer}
        assert sample.messages("program")[2]["content"] == sample.program
        assert sample.messages("reasoning")[2]["content"].endswith(f"answer: {printed(sample.answer)}")
        for target in ("number", "program", "reasoning"):
            outcome = judge(sample, read_reply(sample.messages(target)[2]["content"]))
            assert outcome.exact and outcome.within and not outcome.structure


def test_an_unknown_target_is_refused_in_a_sentence():
    with pytest.raises(CourseError, match="no target 'text'; choose one of number, program, reasoning"):
        everything(0)[0].messages("text")


def test_shares_are_written_as_whole_numbers():
    sample = next(s for s in everything(0) if s.unit == "shares")
    assert re.fullmatch(r'\{"answer": \d+\}', sample.messages()[2]["content"])


def test_a_program_of_another_unit_is_refused():
    with pytest.raises(CourseError, match="no answer in the unit name"):
        answer_of(execute("add(1, 2)"), "name")
    with pytest.raises(CourseError, match="division by zero"):
        answer_of(execute("divide(1, 0)"), "dollars")


def test_drawing_that_never_succeeds_ends():
    with pytest.raises(RuntimeError, match="accepted"):
        draw_until(dict, lambda parameters: False)


def test_the_same_seed_makes_the_same_sample():
    task = TASKS["sizing"]
    parameters = task.draw(random.Random(1), 3)
    first, second = (make(task, "x", parameters, "memo", 3, "a") for _ in range(2))
    assert first == second
    assert {make(task, "x", parameters, "memo", 3, str(seed)).question for seed in range(20)} != {first.question}


def test_tolerance_includes_its_end_and_is_relative_to_the_answer():
    assert within(101, 100) and not within(101.01, 100) and within(99, 100) and not within(98.99, 100)
    assert within(0, 0) and not within(1e-9, 0)


def test_excess_returns_are_positive():
    """A negative one would order the ratios against their squares."""
    for p in drawn("sharpe", range(200)):
        assert all(mean > p["free"] for _, mean, _ in p["assets"])


def test_the_riskiest_asset_has_no_typical_period_and_no_typical_rank_by_volatility():
    """Four standard deviations around a third: 600 draws at a difficulty, 450 with a period."""
    wins, ranks = {}, []
    for seed in range(600):
        p = TASKS["ranking"].draw(random.Random(f"{seed}"), 2)
        winner = p["names"].index(answer("ranking", p))
        for index, (period, _, _) in enumerate(p["assets"]):
            wins.setdefault(period, []).append(index == winner)
        p = TASKS["ranking"].draw(random.Random(f"{seed}"), 3)
        winner = p["names"].index(answer("ranking", p).split(" > ")[0])
        volatilities = [volatility for _, volatility, _ in p["assets"]]
        ranks.append(sorted(volatilities).index(volatilities[winner]))
    for outcomes in wins.values():
        assert fmean(outcomes) == pytest.approx(1 / 3, abs=0.09)
    for rank in range(3):
        assert ranks.count(rank) / 600 == pytest.approx(1 / 3, abs=0.08)


def test_worked_drawdowns_name_the_running_peak_and_the_largest_of_their_falls():
    for sample in everything(0):
        if sample.task == "drawdown":
            *steps, last, _ = sample.reasoning.splitlines()
            series = [float(price) for price in sample.parameters["series"]]
            assert len(steps) == len(series) - 1
            falls = [0.0]
            for index, line in enumerate(steps, start=1):
                peak = max(series[: index + 1])
                if " peak " in line:
                    assert float(re.search(r"the peak ([\d.]+) ", line)[1]) == peak > series[index]
                    falls.append(float(line.rstrip(".").split(" = ")[1]))
                else:
                    assert series[index] == peak and line.endswith("is a new peak.")
            assert float(last.rstrip(".").split()[-1]) == pytest.approx(max(falls), rel=1e-6)


def test_worked_comparisons_are_true():
    for sample in everything(0):
        if sample.unit == "name":
            compared = re.findall(r"([\d.]+) is more than ([\d.]+\d|\d)", sample.reasoning)
            assert len(compared) == (1 if sample.task == "sharpe" else 2)
            assert all(float(larger) > float(smaller) for larger, smaller in compared)


SPELLED = re.compile(
    r"(?:USD |\$ ?)?(?<![\d.,])\d+(?:,\d{3})*(?:\.\d+)?(?:k\b| million\b)?(?: ?%| percent\b| per cent\b| dollars\b)?"
)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_question_states_every_parameter_in_order_and_no_parameter_of_another(seed):
    """Numbers are read back from the text; months of a year and the like are no parameters."""
    for sample in everything(seed):
        found = [read_spelled(text) for text in SPELLED.findall(sample.question)]
        found += [Fraction(WORDS.index(word)) for word in re.findall(r"[a-z]+", sample.question) if word in WORDS]
        p = sample.parameters
        if sample.task == "drawdown":
            assert [float(number) for number in found[: len(p["series"])]] == [float(price) for price in p["series"]]
            continue
        stated = [value for name, value in p.items() if isinstance(value, Decimal) or name == "years"]
        stated += [number for asset in p.get("assets", ()) for number in asset[1:]]
        assert {Fraction(value) for value in stated if value} <= set(found), (sample.id, found, stated)
        for name in p.get("names", ()):
            assert sample.question.count(name) == 1
        if sample.task == "sizing":
            short = "short" in re.sub(r"stop", "", sample.question.lower())
            assert short == (p["stop"] > p["entry"])
