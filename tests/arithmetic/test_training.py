"""Loss, schedule, optimisers, resuming bit for bit, interruption, and the command."""

import json

import numpy as np
import pytest
import torch

from finqa_lab.arithmetic.command import main, train_to_folder
from finqa_lab.arithmetic.formats import FORMATS
from finqa_lab.arithmetic.optimizers import learning_rate_factor, make_optimizers
from finqa_lab.arithmetic.recipes import RECIPES, Optimisation, recipe_named
from finqa_lab.arithmetic.resume import load_state, save_state
from finqa_lab.arithmetic.tasks import Arithmetic, Batch
from finqa_lab.arithmetic.training import answer_loss, start_run, train, train_recipe
from finqa_lab.errors import CourseError
from finqa_lab.nn.checkpoint import load_checkpoint
from finqa_lab.nn.config import DecoderConfig
from finqa_lab.nn.muon import Muon, orthogonalise
from finqa_lab.nn.transformer import Decoder

SHORT = RECIPES["small"].changed(steps=40, warmup=5, batch=32)
VARIANTS = {
    "adamw": SHORT,
    "muon": SHORT.changed(optimizer="muon", schedule="linear", clip=0.0),
    "average": SHORT.changed(average=0.9, schedule="flat"),
    "text, fixed": SHORT.changed(spelling="text_places", rows=500, sampler="mixed"),
}


def weights(model: Decoder) -> list[torch.Tensor]:
    return [parameter.detach().clone() for parameter in model.parameters()]


def fresh(recipe, seed=0):
    task = recipe.task(seed)
    model = Decoder(recipe.decoder(task), seed=seed)
    return task, start_run(task, model, recipe.optimisation, seed)


def test_loss_is_the_mean_surprise_of_the_masked_tokens():
    task = Arithmetic(FORMATS["text_places"])
    batch = task.batch(np.random.default_rng(0), 9)
    model = Decoder(RECIPES["text"].decoder(task)).eval()
    log_p = model(batch.tokens, batch.places).log_softmax(-1)
    terms = []
    for row in range(9):
        for column in range(task.prompt, task.length):
            if batch.tokens[row, column] != 16:  # padding behind the end
                terms.append(-log_p[row, column - 1, batch.tokens[row, column]])
    assert len(terms) < 9 * 5
    torch.testing.assert_close(answer_loss(model, batch, task.prompt), torch.stack(terms).mean())


def test_loss_ignores_what_the_mask_hides():
    task = Arithmetic(FORMATS["reversed"])
    batch = task.batch(np.random.default_rng(0), 9)
    model = Decoder(RECIPES["small"].decoder(task)).eval()
    only_first = torch.zeros_like(batch.mask)
    only_first[:, 0] = True
    changed = batch.tokens.clone()
    changed[:, 9:] = 3
    before = answer_loss(model, Batch(batch.tokens, only_first), task.prompt)
    assert torch.equal(before, answer_loss(model, Batch(changed, only_first), task.prompt))


@pytest.mark.parametrize("schedule", ["cosine", "linear", "flat"])
def test_schedules(schedule):
    plan = Optimisation(steps=1000, warmup=100, schedule=schedule)
    factors = [learning_rate_factor(step, plan) for step in range(1000)]
    assert factors[0] == 0.01 and max(factors) == 1.0 and factors[99] == 1.0
    assert all(a >= b for a, b in zip(factors[99:], factors[100:], strict=False))
    assert factors[-1] == pytest.approx(0.02 if schedule == "cosine" else 0.0, abs=3e-3)
    assert (factors[550] > 0.99) == (schedule == "flat")


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_each_parameter_has_one_optimizer(optimizer):
    model = Decoder(DecoderConfig(vocabulary=17, width=16, layers=2, heads=2, hidden=32, context=12))
    made = make_optimizers(model, Optimisation(steps=10, optimizer=optimizer))
    owned = [id(p) for o in made.values() for group in o.param_groups for p in group["params"]]
    assert sorted(owned) == sorted(id(p) for p in model.parameters())
    decayed = {id(p) for o in made.values() for g in o.param_groups if g["weight_decay"] for p in g["params"]}
    assert not any(id(p) in decayed for p in model.parameters() if p.ndim == 1)


@pytest.mark.parametrize("shape", [(8, 8), (24, 8), (8, 24)])
def test_orthogonalise_keeps_directions_and_evens_singular_values(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    u, _, vh = torch.linalg.svd(matrix, full_matrices=False)
    inside = u.T @ orthogonalise(matrix) @ vh.T
    assert inside.diagonal().min() > 0.6 and inside.diagonal().max() < 1.25
    torch.testing.assert_close(inside - inside.diagonal().diag(), torch.zeros(8, 8), atol=2e-4, rtol=0)


def test_muon_step_is_the_formula():
    parameter = torch.nn.Parameter(torch.randn(6, 3))
    start, gradient = parameter.detach().clone(), torch.randn(6, 3)
    parameter.grad = gradient.clone()
    Muon([parameter], lr=0.1, momentum=0.9, weight_decay=0.5).step()
    nesterov = 0.1 * gradient + 0.9 * 0.1 * gradient  # (1 - m) g + m * buffer, with buffer = (1 - m) g
    expected = start * (1 - 0.1 * 0.5) - 0.1 * 2**0.5 * orthogonalise(nesterov)
    torch.testing.assert_close(parameter.detach(), expected)
    with pytest.raises(ValueError, match="matrices only"):
        Muon([torch.nn.Parameter(torch.zeros(3))])


def test_training_learns_and_is_seeded():
    one, two, other = (train_recipe(SHORT.changed(steps=60), seed) for seed in (0, 0, 1))
    assert all(torch.equal(a, b) for a, b in zip(weights(one.model), weights(two.model), strict=True))
    assert not torch.equal(weights(one.model)[0], weights(other.model)[0])
    assert np.mean(one.losses[-5:]) < np.mean(one.losses[:5]) - 0.5
    assert one.cpu_seconds > 0 and one.step == 60 and not one.model.training


@pytest.mark.parametrize("recipe", VARIANTS.values(), ids=VARIANTS)
def test_resumed_run_equals_unbroken_run(recipe, tmp_path):
    task, unbroken = fresh(recipe)
    train(task, unbroken, recipe.optimisation)
    task, first = fresh(recipe)
    train(task, first, recipe.optimisation, until=17)
    save_state(tmp_path, first)
    task, second = fresh(recipe)
    load_state(tmp_path, second)
    assert second.step == 17 and second.losses == first.losses and second.cpu_seconds == first.cpu_seconds
    train(task, second, recipe.optimisation)
    assert second.losses == unbroken.losses
    assert all(torch.equal(a, b) for a, b in zip(weights(second.model), weights(unbroken.model), strict=True))


def test_interruption_keeps_the_state(tmp_path):
    task, run = fresh(SHORT)

    def stop_at_nine(run):
        if run.step == 9:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(task, run, SHORT.optimisation, on_step=stop_at_nine, state=tmp_path)
    _, again = fresh(SHORT)
    assert load_state(tmp_path, again).step == 9
    assert len(list(tmp_path.glob("*.safetensors"))) == 1


def test_divergence_is_one_sentence():
    task, run = fresh(SHORT)
    with torch.no_grad():
        run.model.norm.gain.fill_(float("nan"))
    with pytest.raises(CourseError, match="diverged: the loss is nan at step 1"):
        train(task, run, SHORT.optimisation)


def test_damaged_or_foreign_state_is_named(tmp_path):
    _, run = fresh(SHORT)
    save_state(tmp_path, run, {"seed": 0})
    with pytest.raises(CourseError, match="another recipe or seed"):
        load_state(tmp_path, run, {"seed": 1})
    _, larger = fresh(SHORT.changed(width=64))
    with pytest.raises(CourseError, match="another shape"):
        load_state(tmp_path, larger, {"seed": 0})
    path = tmp_path / "state-0.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(CourseError, match="damaged"):
        load_state(tmp_path, run, {"seed": 0})
    path.unlink()
    with pytest.raises(CourseError, match="cannot be read"):
        load_state(tmp_path, run, {"seed": 0})


def test_command_continues_an_interrupted_run(tmp_path, monkeypatch):
    recipe = SHORT.changed(steps=12)
    _, unbroken = fresh(recipe)
    train(recipe.task(0), unbroken, recipe.optimisation)
    import finqa_lab.arithmetic.command as command

    real = command.train

    def interrupted(task, run, plan, **options):
        real(task, run, plan, until=5, **{**options, "save_every": 5})
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "train", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train_to_folder(recipe, 0, tmp_path, full=False)
    monkeypatch.setattr(command, "train", real)
    _, metadata = train_to_folder(recipe, 0, tmp_path, full=False)
    loaded, stored = load_checkpoint(tmp_path)
    assert stored == json.loads(json.dumps(metadata)) and stored["seed"] == 0
    assert all(torch.equal(a, b) for a, b in zip(weights(loaded), weights(unbroken.model), strict=True))
    assert not (tmp_path / "state").exists()


def test_command_line(tmp_path, capsys):
    out = tmp_path / "model"
    assert main(["--recipe", "tiny", "--steps", "3", "--out", str(out), "--no-evaluation"]) == 0
    assert "6,848 parameters, 3 steps" in capsys.readouterr().out
    assert main(["--recipe", "huge", "--out", str(out)]) == 2
    assert "no arithmetic recipe 'huge'; choose one of: main" in capsys.readouterr().err
    assert main(["--recipe", "tiny", "--steps", "0", "--out", str(out)]) == 2
    assert "steps is 0; it must be at least 1" in capsys.readouterr().err


def test_recipe_names_and_sizes():
    sizes = {name: Decoder(r.decoder(r.task(0))).parameter_count() for name, r in RECIPES.items()}
    assert sizes["main"] == 101_120 and sizes["small"] == 25_984 and sizes["tiny"] == 6_848
    with pytest.raises(CourseError, match="optimizer is 'sgd'; allowed: adamw, muon"):
        recipe_named("main").changed(optimizer="sgd")
