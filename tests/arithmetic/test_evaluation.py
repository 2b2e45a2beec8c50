"""Counting, kinds of wrong answer, breakdowns, confidence; and that the fast decode is the plain greedy one."""

import math
import random

import numpy as np
import pytest
import torch

from finqa_lab.arithmetic import evaluation, problems
from finqa_lab.arithmetic.confidence import chance_of_perfect_sample, rule_of_three, upper_bound
from finqa_lab.arithmetic.evaluation import KINDS, Evaluation, classify, evaluate, predict
from finqa_lab.arithmetic.formats import ENDLESS, FORMATS, MALFORMED
from finqa_lab.arithmetic.problems import MINUS, PLUS, SPACE
from finqa_lab.arithmetic.recipes import RECIPES
from finqa_lab.arithmetic.training import answer_loss, train_recipe
from finqa_lab.nn.generate import greedy

EVERYTHING = np.arange(SPACE)


@pytest.fixture(scope="module")
def half_trained():
    return train_recipe(RECIPES["small"].changed(steps=250), seed=0).model


@pytest.fixture(scope="module")
def some_ids():
    return np.sort(np.random.default_rng(5).choice(SPACE, 3000, replace=False))


def test_fast_decode_is_the_greedy_decode(half_trained, some_ids):
    spelling = FORMATS["reversed"]
    prompts = torch.from_numpy(spelling.encode_prompts(*problems.operands(some_ids)))
    slow = greedy(half_trained, prompts, 4, use_cache=False).numpy()
    assert np.array_equal(predict(half_trained, spelling, some_ids), slow)


def test_fast_decode_with_places_is_the_greedy_decode(some_ids):
    spelling, model = FORMATS["text_places"], train_recipe(RECIPES["text"].changed(steps=2), 0).model
    prompts = spelling.encode_prompts(*problems.operands(some_ids))
    places = torch.from_numpy(spelling.digit_places(prompts))
    slow = greedy(model, torch.from_numpy(prompts), 5, places, use_cache=False).numpy()
    assert np.array_equal(predict(model, spelling, some_ids), slow)


def test_counts_equal_a_count_by_hand(half_trained, some_ids):
    spelling = FORMATS["reversed"]
    result = evaluate(half_trained, spelling, some_ids)
    values = spelling.decode_answers(predict(half_trained, spelling, some_ids))
    wrong = some_ids[values != problems.answers(some_ids)]
    assert 0 < len(wrong) < 3000
    assert result.wrong_ids == wrong.tolist() and result.total == 3000 and result.total_wrong == len(wrong)
    assert result.kinds.sum() == len(wrong) and sum(result.rates().values()) == pytest.approx(len(wrong) / 3000)
    assert result.held_out_wrong == problems.held_out(wrong).sum()
    assert result.held_out_asked == problems.held_out(some_ids).sum()
    a, operation, b = problems.operands(some_ids)
    chosen = (a >= 100) & (b < 10) & (operation == MINUS)
    expected = np.isin(some_ids[chosen], wrong).mean()
    assert result.error_rate("operation", "first_length", "second_length")[1, 2, 0] == pytest.approx(expected)
    assert result.error_rate("second_length", "first_length")[0, 2] == pytest.approx(
        np.isin(some_ids[(a >= 100) & (b < 10)], wrong).mean()
    )


def test_exhaustive_counts_of_a_perfect_and_of_a_wrong_answerer(monkeypatch):
    spelling = FORMATS["reversed"]
    monkeypatch.setattr(evaluation, "predict", lambda model, s, ids: s.encode_answers(problems.answers(ids)))
    seen = []
    result = evaluate(None, spelling, on_chunk=lambda counts: seen.append(counts.total))
    assert (result.total, result.total_wrong, result.held_out_asked) == (SPACE, 0, 154_716)
    assert seen[0] == evaluation.CHUNK and seen[-1] == SPACE
    assert np.isnan(result.error_rate("operation", "first_length", "second_length")[MINUS, 0, 1])  # a < b: not asked
    monkeypatch.setattr(evaluation, "predict", lambda model, s, ids: s.encode_answers(problems.operands(ids)[0]))
    result = evaluate(None, spelling, np.arange(0, SPACE, 7))
    _, _, b = problems.operands(np.arange(0, SPACE, 7))
    assert result.total_wrong == (b != 0).sum() and result.kinds[KINDS.index("hallucinated")] == result.total_wrong


def test_every_wrong_answer_has_one_kind():
    ids = problems.problem_ids([600] * 5, [PLUS, PLUS, MINUS, PLUS, PLUS], [500] * 5)
    kinds = classify(ids, np.array([1100, 1999, 1000, MALFORMED, ENDLESS]))
    assert [KINDS[k] if k >= 0 else "right" for k in kinds] == [
        "right",
        "out_of_range",
        "out_of_range",
        "malformed",
        "endless",
    ]
    assert classify(ids[:1], np.array([1101])).tolist() == [KINDS.index("hallucinated")]


def test_nothing_to_ask():
    with pytest.raises(ValueError, match="no problem"):
        evaluate(None, FORMATS["plain"], np.array([], dtype=np.int64))
    assert Evaluation().rates() == dict.fromkeys(KINDS, 0.0)


def test_teacher_forced_loss_falls_with_errors(half_trained, some_ids):
    task = RECIPES["small"].task(0)
    result = evaluate(half_trained, task.spelling, some_ids)
    wrong = np.array(result.wrong_ids)
    right = np.setdiff1d(some_ids, wrong)
    losses = [answer_loss(half_trained, task.rows_of(ids), task.prompt).item() for ids in (wrong, right)]
    assert losses[0] > losses[1]


def test_rule_of_three_and_exact_bound():
    for asked in (20, 1000, 100_000):
        assert (1 - rule_of_three(asked)) ** asked == pytest.approx(0.05)
        assert upper_bound(0, asked) == pytest.approx(rule_of_three(asked), rel=1e-6)
        assert rule_of_three(asked) == pytest.approx(3 / asked, rel=0.1)
    bound = upper_bound(3, 50)
    tail = sum(math.comb(50, k) * bound**k * (1 - bound) ** (50 - k) for k in range(4))
    assert tail == pytest.approx(0.05)
    assert upper_bound(5, 5) == 1.0
    with pytest.raises(ValueError, match="6 wrong of 5"):
        upper_bound(6, 5)


def test_chance_of_a_perfect_sample_is_hypergeometric():
    assert chance_of_perfect_sample(2, 10, 3) == pytest.approx(math.comb(8, 3) / math.comb(10, 3))
    assert chance_of_perfect_sample(0, 10, 3) == 1.0
    assert chance_of_perfect_sample(8, 10, 3) == 0.0
    rng = random.Random(0)
    hits = sum(min(rng.sample(range(60), 12)) >= 5 for _ in range(4000))
    assert hits / 4000 == pytest.approx(chance_of_perfect_sample(5, 60, 12), abs=0.03)
