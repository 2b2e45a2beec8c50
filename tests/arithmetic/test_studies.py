"""The lab's small experiments."""

import numpy as np
import pytest

from finqa_lab.arithmetic import problems, studies
from finqa_lab.arithmetic.formats import FORMATS
from finqa_lab.arithmetic.recipes import RECIPES
from finqa_lab.nn.transformer import Decoder


def test_influence_is_triangular_and_falls_with_distance():
    table = studies.influence()
    for answer in range(4):
        for operand in range(3):
            if operand > answer:
                assert table[answer, operand] == 0.0
            elif operand == answer:
                assert table[answer, operand] == 1.0
    # a carry out of the changed column appears or disappears: E|x - y| / 10 for two different digits is 11/30
    assert table[1, 0] == pytest.approx(11 / 30, rel=0.02)
    assert table[2, 0] == pytest.approx(11 / 300, rel=0.1) and table[3, 0] == pytest.approx(11 / 3000, rel=0.3)


def test_probe_is_a_seeded_sample_without_repeats():
    ids = studies.probe(500, seed=3)
    assert len(np.unique(ids)) == 500 and np.array_equal(ids, studies.probe(500, seed=3))
    assert not np.array_equal(ids, studies.probe(500, seed=4))


def test_learning_curve_ends_with_the_plan():
    recipe = RECIPES["tiny"].changed(steps=30, batch=16)
    run, curve = studies.learning_curve(recipe, 0, studies.probe(100), points=3)
    assert [step for step, _ in curve] == [10, 20, 30] and run.step == 30
    assert all(0 <= right <= 1 for _, right in curve)


@pytest.mark.parametrize("name", ["main", "text"])
def test_attention_maps_are_causal_distributions(name):
    recipe = RECIPES[name]
    model = Decoder(recipe.decoder(recipe.task(0))).eval()
    problem = int(problems.problem_ids([951], [0], [11])[0])
    maps, characters = studies.attention_maps(model, FORMATS[recipe.spelling], problem)
    assert maps.shape == (recipe.layers, recipe.heads, len(characters), len(characters))
    assert "".join(characters) == ("951+011=269" if name == "main" else "_951+11=962$")
    assert np.allclose(maps.sum(-1), 1, atol=1e-5) and np.allclose(np.triu(maps[0, 0], 1), 0)
