"""The induction head that a base model starts with: it copies before any training."""

import dataclasses

import pytest
import torch

from finqa_lab.errors import CourseError
from finqa_lab.nn.transformer import Decoder
from finqa_lab.pretrain.planting import plant_induction, repetition_gain
from finqa_lab.pretrain.recipe import recipe_named

SHAPE = recipe_named("finqa-tiny").decoder()


@pytest.fixture(scope="module")
def planted():
    model = Decoder(SHAPE, seed=1).eval()
    plant_induction(model, seed=1)
    return model


def repeated(length, seed=3):
    once = torch.randint(SHAPE.vocabulary, (4, length), generator=torch.Generator().manual_seed(seed))
    return torch.cat([once, once], dim=1)


def test_a_planted_model_writes_what_came_next_before(planted):
    for length in (10, 30, 100):
        tokens = repeated(length)
        with torch.inference_mode():
            scores = planted(tokens)
        scores = scores.scatter(2, tokens[..., None], -torch.inf)  # tied and untrained, a token is likest to itself
        guesses = scores[:, length:-1].argmax(dim=-1)
        assert (guesses == tokens[:, length + 1 :]).float().mean() > 0.6, length


def test_without_the_circuit_a_repetition_is_no_easier(planted):
    assert abs(repetition_gain(Decoder(SHAPE, seed=1).eval())) < 0.2
    assert repetition_gain(planted) > 4
    assert repetition_gain(planted, length=100) > 3


def test_each_head_looks_where_it_should(planted):
    tokens, maps = repeated(30), []
    planted(tokens, maps=maps)
    previous = maps[0][:, 0].diagonal(offset=-1, dim1=-2, dim2=-1)
    assert previous[:, 3:].mean() > 0.9
    behind_the_match = maps[1][:, 0].diagonal(offset=-29, dim1=-2, dim2=-1)[:, 1:]
    assert behind_the_match.mean() > 0.6


def test_a_planted_model_can_be_trained(planted):
    model = Decoder(SHAPE, seed=1)
    plant_induction(model, seed=1)
    model(repeated(8)).square().mean().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    assert float(model.blocks[1].attention.query.weight.grad.abs().sum()) > 0


@pytest.mark.parametrize("changes", [{"tied": False}, {"positions": "learned"}, {"layers": 1}])
def test_a_shape_without_room_for_it_is_refused(changes):
    with pytest.raises(CourseError, match="needs two layers of plain attention, rotary positions and tied embeddings"):
        plant_induction(Decoder(dataclasses.replace(SHAPE, **changes)))
