"""Each check is proven able to fail: blank, every catalogued wrong answer with its own hint, and the oracle."""

import math

import pytest

from finqa_lab.course import checking, labs
from tests.notebooks.test_labs import checks_in

CHECKS = checking.all_checks()
WRONG = [(name, wrong.name) for name, item in CHECKS.items() for wrong in item.wrong]


def blank(*args, **kwargs):
    raise NotImplementedError


@pytest.mark.parametrize("name", CHECKS)
@pytest.mark.parametrize("answer", [blank, None, ...], ids=["blank", "none", "ellipsis"])
def test_blank_is_not_started(name, answer):
    assert CHECKS[name].judge(answer).status == checking.NOT_STARTED


@pytest.mark.parametrize("name, mistake", WRONG)
@pytest.mark.parametrize("seed", [0, 7])
def test_each_wrong_answer_fails_with_its_own_hint(name, mistake, seed):
    item = CHECKS[name]
    (wrong,) = [w for w in item.wrong if w.name == mistake]
    verdict = item.judge(wrong.answer, seed)
    assert verdict.status == checking.WRONG
    assert verdict.mistake == mistake
    assert " ".join(wrong.hint.split()) in " ".join(verdict.message.split())
    assert "smallest failing example" in verdict.message and "why it matters" in verdict.message


@pytest.mark.parametrize("name", CHECKS)
def test_the_oracle_is_right_and_a_stranger_is_wrong(name):
    item = CHECKS[name]
    if item.call is None:
        assert item.judge(item.oracle).status == checking.RIGHT
    assert item.judge(lambda *args, **kwargs: "a stranger").status == checking.WRONG


@pytest.mark.parametrize("name", CHECKS)
def test_the_catalogue_is_a_catalogue(name):
    item = CHECKS[name]
    assert len(item.wrong) >= 3
    hints = [wrong.hint for wrong in item.wrong]
    assert len(set(hints)) == len(hints) and all(len(hint) > 20 for hint in hints)
    assert name.partition(".")[0] in item.oracle.__module__ or "finqa_lab" in item.oracle.__module__


def test_every_check_is_used_by_a_lab():
    used = {name for lab in labs.lab_names() for name in checks_in(labs.read_notebook(labs.solution_path(lab)))}
    assert used == set(CHECKS)


@pytest.mark.parametrize("seed", range(20))
def test_a_sample_size_with_z_as_the_lab_writes_it_is_right_and_one_question_less_is_not(seed):
    item = CHECKS["evaluation.questions_needed"]
    assert (
        item.judge(lambda share, margin: math.ceil((1.96 / margin) ** 2 * share * (1 - share)), seed).status
        == checking.RIGHT
    )
    assert item.judge(lambda share, margin: item.oracle(share, margin) - 1, seed).status == checking.WRONG
