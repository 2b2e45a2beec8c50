"""The extension tasks: what they write is right by Python's own arithmetic, and held-out problems stay out."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from finqa_lab.arithmetic import evaluation, problems
from finqa_lab.arithmetic import vocabulary as voc
from finqa_lab.arithmetic.extensions import lengths, written
from finqa_lab.arithmetic.extensions.division import Division
from finqa_lab.arithmetic.extensions.lengths import LARGEST_OFFSET, LongSums, exact_by_length
from finqa_lab.arithmetic.extensions.oversampling import Oversampled, is_hard
from finqa_lab.arithmetic.extensions.signed import SignedDifference
from finqa_lab.arithmetic.extensions.studies import STUDIES
from finqa_lab.arithmetic.formats import FORMATS
from finqa_lab.arithmetic.hashing import chosen_by_hash
from finqa_lab.arithmetic.recipes import Optimisation
from finqa_lab.arithmetic.training import start_run, train
from finqa_lab.nn.config import DecoderConfig
from finqa_lab.nn.transformer import Decoder

TASKS = [SignedDifference(False), SignedDifference(True), Division(False), Division(True)]
operand = st.integers(0, 999)


def text(tokens) -> str:
    return "".join("/" if token == written.SLASH else voc.CHARACTERS[token] for token in tokens)


def number(units_first: str) -> int:
    return int(units_first[::-1])


@given(operand, operand, st.booleans())
def test_signed_replies_are_python_s_differences(a, b, scratchpad):
    task = SignedDifference(scratchpad)
    ids = np.array([a * 1000 + b])
    assert text(task.prompts(ids)[0]) == f"{a:03}-{b:03}="
    reply = text(task.replies(ids)[0])
    assert number(reply[-3:]) * (-1 if reply[-4] == "-" else 1) == a - b
    if scratchpad:
        assert number(reply[:3]) == (a - b) % 1000


@given(operand, st.integers(1, 999), st.booleans())
def test_division_replies_are_python_s_divmod_and_every_step_holds(a, b, scratchpad):
    task = Division(scratchpad)
    ids = np.array([a * 999 + b - 1])
    assert text(task.prompts(ids)[0]) == f"{a:03}/{b:03}="
    reply = text(task.replies(ids)[0])
    assert (int(reply[-6:-3]), number(reply[-3:])) == divmod(a, b)
    remainder = 0
    for begin, digit in zip(range(0, 30 if scratchpad else 0, 10), f"{a:03}"):
        step = reply[begin : begin + 10]
        current, quotient, product, left = number(step[:3]), int(step[3]), number(step[4:7]), number(step[7:])
        assert current == 10 * remainder + int(digit) and product == quotient * b and left == current - product < b
        remainder = left


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_a_batch_has_the_declared_shape_and_no_held_out_problem(task, monkeypatch):
    seen = []
    monkeypatch.setattr(task, "replies", lambda ids: seen.append(ids) or type(task).replies(task, ids))
    batch = task.batch(np.random.default_rng(0), 500)
    assert batch.tokens.shape == (500, task.length) and batch.mask.shape == (500, task.reply)
    assert int(batch.tokens.max()) < task.vocabulary
    assert not task.held_out(seen[0]).any()
    assert 0.08 < task.held_out(np.arange(task.space)).mean() < 0.12


def test_scoring_looks_at_the_result_only_and_counts_held_out_problems_apart(monkeypatch):
    task = SignedDifference(True)
    ids = np.arange(0, 1_000_000, 9973)
    right = torch.from_numpy(task.replies(ids))
    right[0, 0] = 15  # a wrong scratchpad before a right result
    right[1:3, -1] = 15  # two wrong results
    monkeypatch.setattr(evaluation, "greedy_shared", lambda model, prompts, steps, places: right)
    found = written.score(SimpleNamespace(device="cpu"), task, ids)
    apart = task.held_out(ids)
    assert (found.asked, found.wrong, found.held_out_asked) == (len(ids), 2, apart.sum())
    assert found.held_out_wrong == apart[1:3].sum()
    assert found.held_out_exact == 1 - found.held_out_wrong / found.held_out_asked


@given(st.integers(1, 5), st.integers(1, 5), st.integers(0, 20), st.data())
def test_long_sums_are_right_and_places_agree(m, n, offset, data):
    a, b = data.draw(st.integers(0, 10**m - 1)), data.draw(st.integers(0, 10**n - 1))
    tokens, places = LongSums(5).rows(np.array([a]), np.array([b]), m, n, offset)
    question, _, answer = text(tokens[0]).partition("=")
    first, _, second = question.partition("+")
    assert (number(first), number(second)) == (a, b)
    digits = answer.partition("$")[0]
    assert number(digits) == a + b and "$" in answer and set(answer.partition("$")[2]) <= {"_"}
    units = offset + 2
    assert places[0, 0] == places[0, m + 1] == places[0, m + n + 2] == units  # units of a, of b and of the answer
    assert places[0, m] == 0 and places[0, m + n + 1] == units - 1


def test_long_rows_share_one_width_and_stay_inside_the_place_table():
    task = LongSums(3)
    batch = task.batch(np.random.default_rng(0), 400)
    assert batch.tokens.shape == (400, task.length) and int(batch.places.max()) < task.place_rows
    assert (batch.tokens[:, task.prompt - 1] == voc.EQUALS).all()
    assert int(batch.places.max()) > LARGEST_OFFSET  # the offset is really used
    assert (batch.mask.sum(dim=1) >= 2).all()


def test_length_generalisation_counts_one_digit_too_many_as_wrong(monkeypatch):
    def answers(model, prompts, steps, places, stop):
        rows = []
        for row in prompts:
            first, _, second = text(row.tolist()).rstrip("=").lstrip("_").partition("+")
            reply = str(number(first) + number(second))[::-1]
            reply += "0" if len(rows) % 2 else ""  # every other answer with a leading zero
            rows.append([voc.TOKEN[c] for c in reply[:steps].ljust(steps, "$")])
        return torch.tensor(rows)

    monkeypatch.setattr(lengths, "greedy", answers)
    assert exact_by_length(None, LongSums(3), 100, 0, lengths=[2, 4]) == {2: 0.5, 4: 0.5}


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_oversampling_gives_at_least_the_share_of_hard_cases(share):
    task = Oversampled(FORMATS["reversed"], share)
    seen = []
    rows_of = task.rows_of
    task.rows_of = lambda ids: seen.append(ids) or rows_of(ids)
    batch = task.batch(np.random.default_rng(0), 1000)
    assert batch.tokens.shape == (1000, 12) and not problems.held_out(seen[0]).any()
    natural = 0.3  # half sums with 38%, half differences with 22%
    assert abs(is_hard(seen[0]).mean() - (share + (1 - share) * natural)) < 0.05


def test_the_hash_keeps_its_choice_and_its_share():
    keys = np.arange(100_000)
    assert abs(chosen_by_hash(keys, 0.1).mean() - 0.1) < 0.005
    assert (chosen_by_hash(keys, 0.1) == chosen_by_hash(keys[::-1], 0.1)[::-1]).all()
    assert (chosen_by_hash(keys, 0.1) <= chosen_by_hash(keys, 0.2)).all()
    assert (chosen_by_hash(keys, 0.1) != chosen_by_hash(keys, 0.1, salt=1)).any()


def test_the_shared_loop_learns_a_signed_difference():
    task = SignedDifference(True)
    config = DecoderConfig(task.vocabulary, 32, 1, 2, 64, task.length)
    plan = Optimisation(80, batch=64, lr=8e-3, schedule="flat", warmup=10)
    run = train(task, start_run(task, Decoder(config, seed=0), plan, 0), plan)
    assert np.mean(run.losses[-10:]) < 0.8 * np.mean(run.losses[:10])


@pytest.mark.parametrize(
    "name, models", [("signed", 2), ("division", 4), ("lengths", 20), ("products", 2), ("oversampling", 3)]
)
def test_every_study_runs_shortened_and_its_counts_fit_together(name, models):
    rows = STUDIES[name](seed=0, scale=0.002, share=0.002)
    assert len(rows) == models
    for row in rows:
        assert 0 <= row.wrong <= row.asked_count and row.held_out_wrong <= row.held_out_asked <= row.asked_count
        assert row.held_out_wrong <= row.wrong and row.exact == 1 - row.wrong / row.asked_count
        assert row.parameters > 100_000 and row.cpu_seconds > 0
