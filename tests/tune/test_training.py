"""The training loop: exact accumulation, exact resume, early stopping, and a stop that names step and sample."""

import json
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F

from finqa_lab.errors import CourseError
from finqa_lab.nn.config import DecoderConfig
from finqa_lab.nn.muon import Muon, MuonAdamW
from finqa_lab.nn.transformer import Decoder
from finqa_lab.tune.batches import Batch, windows
from finqa_lab.tune.layouts import sft_batches
from finqa_lab.tune.lora import LoRAConfig, add_adapter
from finqa_lab.tune.plan import Plan, make_optimizer
from finqa_lab.tune.resume import has_state, load_run, remove_state, save_run
from finqa_lab.tune.training import loss_sum, mean_loss, start_run, train, trained
from tests.tune.test_layouts import examples, model

PLAN = Plan(steps=12, lr=3e-3, warmup=2)


def weights(run) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in trained(run.model).values()])


def stream(length: int = 400) -> torch.Tensor:
    return torch.randint(0, 40, (length,), generator=torch.Generator().manual_seed(0))


def test_the_loss_is_the_mean_over_the_learnt_tokens_only():
    decoder, chosen = model(), examples(3)
    expected, count = 0.0, 0
    for example in chosen:
        logits = decoder(torch.tensor([example.ids]))[0]
        for place in range(1, len(example.ids)):
            if example.learn[place]:
                expected += F.cross_entropy(logits[place - 1], torch.tensor(example.ids[place])).item()
                count += 1
    batch = sft_batches(chosen, 3, layout="padded")(0)[0]
    assert batch.learnt == count
    assert loss_sum(decoder, batch).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("layout", ["padded", "shared"])
def test_accumulated_gradients_are_those_of_the_large_batch(layout):
    results = []
    for parts in (1, 2, 6):
        run = start_run(model(), PLAN)
        train(run, PLAN, sft_batches(examples(30), 6, layout=layout, length=40, micro_batches=parts))
        results.append((weights(run), run.losses))
    for other, losses in results[1:]:
        assert (other - results[0][0]).abs().max() < 1e-5
        assert losses == pytest.approx(results[0][1], abs=1e-5)


def test_a_mean_of_means_would_be_another_loss():
    # what the loop avoids: micro-batches with few learnt tokens would weigh as much as those with many
    decoder = model()
    parts = sft_batches(examples(30), 6, layout="padded", micro_batches=3)(0)
    whole = sum(loss_sum(decoder, part).item() for part in parts) / sum(part.learnt for part in parts)
    means = sum(loss_sum(decoder, part).item() / part.learnt for part in parts) / 3
    assert abs(whole - means) > 1e-4


@pytest.mark.parametrize("plan", [PLAN, Plan(steps=12, lr=2e-3, muon=0.01, weight_decay=0.1)])
@pytest.mark.parametrize("stop", [1, 7])
def test_a_resumed_training_is_the_unbroken_one_bit_for_bit(tmp_path, plan, stop):
    batches = windows(stream(), 16, 4, seed=3)
    unbroken = train(start_run(model(), plan), plan, batches)
    first = train(start_run(model(), plan), plan, batches, until=stop)
    save_run(tmp_path, first, {"seed": 3})
    second = load_run(tmp_path, start_run(model(seed=9), plan), {"seed": 3})
    train(second, plan, batches)
    assert weights(second).equal(weights(unbroken))
    assert second.losses == unbroken.losses and second.tokens == unbroken.tokens == 12 * 4 * 17


def test_only_the_adapter_is_in_the_state_of_an_adapter(tmp_path):
    decoder = model()
    add_adapter(decoder, LoRAConfig(rank=2))
    run = train(start_run(decoder, PLAN), PLAN, sft_batches(examples(30), 6), until=3)
    save_run(tmp_path, run)
    other = model()
    add_adapter(other, LoRAConfig(rank=2), seed=5)
    assert weights(load_run(tmp_path, start_run(other, PLAN))).equal(weights(run))
    with pytest.raises(CourseError, match="is of other parameters"):
        load_run(tmp_path, start_run(model(), PLAN))


def test_a_state_of_another_run_or_a_damaged_one_is_refused(tmp_path):
    save_run(tmp_path, train(start_run(model(), PLAN), PLAN, windows(stream(), 16, 4), until=1), {"seed": 1, "lr": 2})
    with pytest.raises(CourseError, match=r"another run \(seed differ\)"):
        load_run(tmp_path, start_run(model(), PLAN), {"seed": 2, "lr": 2})
    path = next(tmp_path.glob("state-*.safetensors"))
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(CourseError, match="damaged"):
        load_run(tmp_path, start_run(model(), PLAN), {"seed": 1, "lr": 2})
    path.unlink()
    with pytest.raises(CourseError, match="cannot be read"):
        load_run(tmp_path, start_run(model(), PLAN), {"seed": 1, "lr": 2})
    remove_state(tmp_path)
    assert not has_state(tmp_path) and not tmp_path.exists()


def test_a_save_that_dies_leaves_the_old_state(tmp_path, monkeypatch):
    batches = windows(stream(), 16, 4)
    run = train(start_run(model(), PLAN), PLAN, batches, until=2)
    save_run(tmp_path, run)
    train(run, PLAN, batches, until=4)

    def die(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(json, "dumps", die)  # the tensors are written, the pointer is not
    with pytest.raises(KeyboardInterrupt):
        save_run(tmp_path, run)
    monkeypatch.undo()
    assert load_run(tmp_path, start_run(model(), PLAN)).step == 2


def test_interrupting_saves_first(tmp_path):
    def stop(run):
        if run.step == 3:
            raise KeyboardInterrupt

    run = start_run(model(), PLAN)
    with pytest.raises(KeyboardInterrupt):
        train(run, PLAN, windows(stream(), 16, 4), on_step=stop, save=lambda run: save_run(tmp_path, run))
    assert load_run(tmp_path, start_run(model(), PLAN)).step == 3


def test_an_update_that_is_interrupted_half_way_is_not_saved(monkeypatch):
    saved, run = [], start_run(model(), PLAN)
    update = run.optimizer.step

    def half_way():
        update()
        raise KeyboardInterrupt  # the weights have moved, the counter has not

    monkeypatch.setattr(run.optimizer, "step", half_way)
    with pytest.raises(KeyboardInterrupt):
        train(run, PLAN, windows(stream(), 16, 4), save=saved.append)
    assert run.step == 0 and saved == []


def test_training_stops_at_a_loss_that_is_no_number_and_names_step_and_samples():
    decoder = model()
    batches = sft_batches(examples(12), 4)

    def poison(run):
        if run.step == 2:
            with torch.no_grad():
                decoder.norm.gain[0] = float("nan")

    with pytest.raises(CourseError, match=r"the loss is nan at step 2 \(samples s\d+, s\d+, s\d+, s\d+\)"):
        train(start_run(decoder, PLAN), PLAN, batches, on_step=poison)


def test_a_batch_without_targets_is_refused():
    tokens = torch.zeros(1, 4, dtype=torch.int64)
    with pytest.raises(CourseError, match=r"no token is to be learnt in a batch \(samples a\)"):
        loss_sum(model(), Batch(tokens, torch.zeros_like(tokens, dtype=torch.bool), names=("a",)))


def test_early_stopping_keeps_the_best_weights():
    losses, seen = iter([3.0, 2.0, 2.5, 2.4, 2.3]), []
    run = start_run(model(), PLAN)

    def evaluate():
        seen.append(weights(run).clone())
        return next(losses)

    train(run, PLAN, windows(stream(), 16, 4), evaluate=evaluate, evaluate_every=2, patience=2)
    assert run.step == 8 and [loss for _, loss in run.validation] == [3.0, 2.0, 2.5, 2.4]
    assert weights(run).equal(seen[1])


def test_without_patience_the_last_weights_stay():
    losses = iter([1.0, 2.0, 3.0])
    run = start_run(model(), PLAN)
    train(run, PLAN, windows(stream(), 16, 4), evaluate=lambda: next(losses), evaluate_every=4)
    assert run.step == 12 and run.best[0] == 1.0 and run.best[1] == {}


def test_validation_leaves_the_mode_and_the_gradients_alone():
    decoder = model().train()
    batch = windows(stream(), 16, 4)(0)
    assert mean_loss(decoder, batch) == pytest.approx(loss_sum(decoder, batch[0]).item() / batch[0].learnt)
    assert decoder.training and all(parameter.grad is None for parameter in decoder.parameters())


def test_micro_batches_that_ranks_cannot_share_are_refused():
    with pytest.raises(CourseError, match="step 0 has 3 micro-batches, which 2 ranks cannot share"):
        two = SimpleNamespace(rank=0, ranks=2)
        train(start_run(model(), PLAN), PLAN, sft_batches(examples(9), 9, micro_batches=3), together=two)


def test_a_frozen_model_is_refused_and_so_is_a_plan_without_steps():
    with pytest.raises(CourseError, match="no parameter of the model is trainable"):
        start_run(model().requires_grad_(False), PLAN)
    with pytest.raises(CourseError, match="0 steps"):
        Plan(steps=0, lr=1)


def test_windows_visit_the_whole_text_once_an_epoch():
    batches = windows(torch.arange(101), length=5, rows=4, seed=2)
    first = torch.cat([batch.tokens for step in range(5) for batch in batches(step)])
    assert sorted(first[:, 0].tolist()) == list(range(0, 100, 5)) and not batches(0)[0].learn[:, 0].any()
    assert batches(0)[0].tokens.tolist() != batches(5)[0].tokens.tolist()


def test_the_two_kinds_of_groups_are_updated_as_by_the_two_optimizers():
    decoders = [model(), model()]
    plan = Plan(steps=4, lr=2e-3, muon=0.01, weight_decay=0.1)
    ours = make_optimizer(decoders[0], plan)
    inside = [n for n, p in decoders[1].named_parameters() if p.ndim == 2 and n.startswith("blocks.")]
    named = dict(decoders[1].named_parameters())
    rest = [
        {"params": [p for n, p in named.items() if n not in inside and p.ndim == 2], "weight_decay": 0.1},
        {"params": [p for n, p in named.items() if p.ndim == 1], "weight_decay": 0.0},
    ]
    theirs = [
        Muon([named[n] for n in sorted(inside)], lr=0.01, weight_decay=0.1),
        torch.optim.AdamW(rest, lr=2e-3, betas=(0.9, 0.95)),
    ]
    assert isinstance(ours, MuonAdamW)
    batches = windows(stream(), 16, 4)
    for step in range(4):
        for decoder, optimizers in zip(decoders, ([ours], theirs)):
            decoder.zero_grad()
            loss_sum(decoder, batches(step)[0]).backward()
            for optimizer in optimizers:
                optimizer.step()
    for (name, one), other in zip(decoders[0].named_parameters(), decoders[1].parameters()):
        assert (one - other).abs().max() < 1e-6, name


def test_bfloat16_is_close_to_float32_and_leaves_the_weights_in_float32():
    losses = []
    for precision in ("float32", "bfloat16"):
        plan = Plan(steps=6, lr=3e-3, precision=precision)
        run = train(
            start_run(Decoder(DecoderConfig.llama(40, 32, 2, 4, 64, 64), seed=0), plan), plan, windows(stream(), 16, 4)
        )
        losses.append(run.losses)
        assert all(p.dtype == torch.float32 for p in run.model.parameters())
    assert losses[0] != losses[1] and losses[1] == pytest.approx(losses[0], rel=0.02)
