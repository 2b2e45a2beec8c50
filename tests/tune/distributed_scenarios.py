"""What the tests of distributed training run, on one process in the test and on two under torchrun, and compare."""

from dataclasses import replace
from pathlib import Path

import torch

from finqa_lab.errors import CourseError
from finqa_lab.nn.config import DecoderConfig
from finqa_lab.nn.transformer import Decoder
from finqa_lab.tune.batches import Batch, windows
from finqa_lab.tune.distributed.checkpoints import load_sharded, save_sharded
from finqa_lab.tune.distributed.gather import held, whole_trained
from finqa_lab.tune.distributed.ranks import Ranks
from finqa_lab.tune.distributed.strategies import Group, shared_mean_loss
from finqa_lab.tune.distributed.volume import CountExchanges, ddp_volume, fsdp_volume
from finqa_lab.tune.linear4bit import quantize_linears
from finqa_lab.tune.lora import LoRAConfig, add_adapter
from finqa_lab.tune.plan import Plan
from finqa_lab.tune.recompute import recomputed_blocks
from finqa_lab.tune.training import Run, start_run, train, trained

CONFIG = DecoderConfig.llama(96, 64, 2, 4, 128, 32, kv_heads=2, tied=True)
PLAN = Plan(steps=4, lr=3e-3, warmup=1, clip=0.3, weight_decay=0.1)
OWNER = {"base": "scenario"}
HALF = 2
"""Step at which checkpoints are taken."""


def batches(micro_batches: int = 4):
    """Windows of random tokens, of which each micro-batch learns another number."""
    stream = torch.randint(0, 90, (3000,), generator=torch.Generator().manual_seed(0))
    plain = windows(stream, 12, 2, micro_batches=micro_batches)

    def chosen(step: int) -> list[Batch]:
        found = []
        for place, batch in enumerate(plain(step)):
            learn = batch.learn.clone()
            learn[:, : 2 * place] = False
            found.append(Batch(batch.tokens, learn, None, (f"sample {step}.{place}",)))
        return found

    return chosen


def make(method: str, rank: int = 4, dropout: float = 0.0) -> Decoder:
    """A model whose adapter, when it has one, is not zero."""
    model = Decoder(CONFIG)
    if method == "qlora":
        quantize_linears(model)
    if method == "full":
        return model.requires_grad_(True)
    add_adapter(model, LoRAConfig(rank, 8.0, dropout=dropout))
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in trained(model).items():
            if name.endswith(".b"):
                parameter.normal_(std=0.05, generator=generator)
    return model


def run_it(ranks: Ranks, strategy: str, method: str, *, rank: int = 4, dropout: float = 0.0, recompute: bool = False,
           gather: torch.dtype | None = None, resume: Path | None = None, save: Path | None = None,
           validate: bool = False) -> dict:  # fmt: skip
    """Train for four steps; losses of all ranks together, and the weights whole."""
    model = make(method, rank, dropout)
    size = 2 if gather else None
    predicted = ddp_volume(model, ranks.ranks) if strategy == "ddp" else fsdp_volume(model, ranks.ranks, 2, size)
    group = Group(ranks, model, strategy, seed=5, gather=gather)
    run = start_run(model, PLAN)
    if resume:
        load_sharded(resume, run, ranks, OWNER)
    more = {"together": group}
    if validate:
        more |= {"evaluate": lambda: shared_mean_loss(model, batches(3)(9), ranks), "evaluate_every": 1, "patience": 9}
    counter = CountExchanges(smallest=300)
    with recomputed_blocks(model, recompute):
        if run.step < HALF:
            train(run, PLAN, batches(), until=1, **more)
            with counter:
                train(run, PLAN, batches(), until=HALF, **{**more, "evaluate": None})
            if save:
                save_sharded(save, run, ranks, OWNER)
        train(run, PLAN, batches(), **more)
    return {
        "losses": run.losses,
        "validation": run.validation,
        "held": held(model),
        "whole": sum(p.numel() for p in model.parameters()),
        "predicted": [predicted.total, predicted.exchanges],
        "counted": [counter.counts.sent(ranks.ranks), sum(counter.counts.calls.values())],
        "weights": whole_trained(model),
    }


def diverged(ranks: Ranks) -> str:
    """What training says when one micro-batch of the second step has no finite loss."""
    # with tied embeddings the bad row would reach every loss through the logits
    model, plain = Decoder(replace(CONFIG, tied=False)), batches()
    add_adapter(model, LoRAConfig(4, 8.0))
    with torch.no_grad():
        model.token_embedding.weight[95] = float("nan")

    def poisoned(step: int) -> list[Batch]:
        found = plain(step)
        found[3].tokens[:, 2] = 95 if step == 1 else found[3].tokens[:, 2]
        return found

    run = start_run(model, PLAN)
    group = Group(ranks, model, "ddp")
    try:
        train(run, PLAN, poisoned, together=group)
    except CourseError as error:
        return str(error)
    return f"no error after {run.step} steps, {run.losses}"


def validation_loss(ranks: Ranks) -> list[float]:
    """Mean loss of three batches, by a sharded model, before and after a step; the optimizer still fits afterwards."""
    model = make("full")
    group = Group(ranks, model, "fsdp")
    run: Run = start_run(model, PLAN)
    found = [shared_mean_loss(model, batches(3)(9), ranks)]
    train(run, PLAN, batches(), until=1, together=group)
    return [*found, shared_mean_loss(model, batches(3)(9), ranks)]
