"""A fine-tuning job: model and conversations in, an adapter or a model out; the same on one process or on several.

Every rank calls :func:`fine_tune` with the same settings. A checkpoint belongs to the base model's fingerprint, the
data and the settings that change the result, not to the number of ranks or their strategy: a job that was stopped goes
on elsewhere with the same losses. Every rank reads the whole base into the memory of the CPU before it is sharded; a
base that does not fit there would have to be read in parts, which is not done here.
"""

import json
from collections.abc import Callable
from pathlib import Path

import torch

from finqa_lab.errors import CourseError
from finqa_lab.files import read_json, sha256_bytes, sha256_file, write_atomic
from finqa_lab.nn.hub import Pretrained, load_pretrained, save_pretrained
from finqa_lab.text.chat import ChatTemplate, load_chat_template
from finqa_lab.tune.adapters import WEIGHTS_FILE, fingerprint, load_adapter, save_adapter
from finqa_lab.tune.conversations import BUILT_IN, read_conversations
from finqa_lab.tune.distributed.checkpoints import has_sharded, load_sharded, remove_sharded, save_sharded
from finqa_lab.tune.distributed.gather import held, put, whole_trained
from finqa_lab.tune.distributed.ranks import Ranks
from finqa_lab.tune.distributed.strategies import Group, shared_mean_loss
from finqa_lab.tune.layouts import lay_out, sft_batches
from finqa_lab.tune.linear4bit import quantize_linears
from finqa_lab.tune.lora import LoRAConfig, add_adapter
from finqa_lab.tune.recompute import recomputed_blocks
from finqa_lab.tune.settings import Settings
from finqa_lab.tune.sft import Encoded, encode_all
from finqa_lab.tune.training import Run, start_run, train

ADAPTER, MODEL, FACTS_FILE = "adapter", "model", "training.json"
VALIDATION_ROWS = 8
"""Samples of a validation batch."""


def fine_tune(
    settings: Settings,
    ranks: Ranks,
    *,
    until: int | None = None,
    on_stage: Callable[[str], None] | None = None,
    on_step: Callable[[Run], None] | None = None,
) -> dict:
    """Run a job, or go on with one.

    Args:
        settings: of the job.
        ranks: this process among those of the job.
        until: stop after this many steps in all, leaving the checkpoint.
        on_stage: called with a stage's name when it begins.
        on_step: called after every step.

    Returns:
        Facts, as in ``training.json``: losses, what was left out, sizes; ``finished`` says whether the adapter or model
        was written.

    Raises:
        CourseError: one sentence for a base, data or setting that does not fit, a state of another job, a loss that is
            not finite (step and samples are named), or micro-batches that the ranks cannot share.
    """
    stage = on_stage or (lambda name: None)
    torch.set_num_threads(settings.threads)
    parts = settings.micro_batches or ranks.ranks
    if parts % ranks.ranks or settings.per_step % parts:
        raise CourseError(
            f"{settings.per_step} samples a step in {parts} micro-batches cannot be shared by {ranks.ranks} ranks; "
            "make the micro-batches a multiple of the ranks, and the samples one of the micro-batches"
        )
    stage("reading")
    loaded, template, config = load_base(settings)
    model, base = loaded.model, fingerprint(loaded.model)
    context = min(settings.context or model.config.context, model.config.context)
    training, validation = _encoded(settings, loaded, template, context)
    owner = {"base": base, "data": _digest(training, validation), "settings": settings.result()}
    if settings.start:
        owner["start"] = sha256_file(Path(settings.start) / WEIGHTS_FILE)
    facts_file = Path(settings.out) / FACTS_FILE
    if (done := _finished(facts_file, owner)) is not None:
        return done
    target = Path(settings.out) / MODEL
    if config is None and not has_sharded(settings.state_folder) and target.exists():
        raise CourseError(f"{target} exists and is not of this job; choose another folder before hours are spent")
    if settings.strategy == "ddp" or ranks.ranks == 1 or settings.method == "qlora":
        model.to(ranks.device)  # sharding moves a block at a time, so that the whole need not fit a device
    group = Group(ranks, model, settings.strategy, seed=settings.seed)
    plan = settings.plan(len(training.examples))
    run = start_run(model, plan)
    if has_sharded(settings.state_folder):
        load_sharded(settings.state_folder, run, ranks, owner)
    batches = sft_batches(
        training.examples,
        settings.per_step,
        layout=settings.layout,
        length=settings.length,
        micro_batches=parts,
        order=settings.order,
        seed=settings.seed,
    )
    evaluate = None
    if validation is not None:
        chosen = validation.examples
        checked = [lay_out(chosen[i : i + VALIDATION_ROWS]) for i in range(0, len(chosen), VALIDATION_ROWS)]
        evaluate = lambda: shared_mean_loss(model, checked, ranks, settings.precision)  # noqa: E731
    save = lambda run: save_sharded(settings.state_folder, run, ranks, owner)  # noqa: E731
    stage("training")
    with recomputed_blocks(model, settings.recompute):
        train(
            run,
            plan,
            batches,
            until=until,
            evaluate=evaluate,
            evaluate_every=settings.evaluate_every,
            patience=settings.patience,
            on_step=on_step,
            save=save,
            save_every=settings.save_every,
            together=group,
        )
    stopped_early = bool(settings.patience) and run.step < min(until or plan.steps, plan.steps)
    finished = run.step == plan.steps or stopped_early
    facts = {
        "owner": owner,
        "config": settings.describe(),
        "ranks": ranks.ranks,
        "steps": run.step,
        "tokens": run.tokens,
        "cpu_seconds_of_rank_0": round(run.cpu_seconds, 1),
        "samples": training.report(context),
        "parameters": {"held_by_rank_0": held(model), "trained": sum(p.numel() for p in _trained(model))},
        "losses": run.losses,
        "validation": run.validation,
        "finished": finished,
    }
    if finished:
        stage("writing")
        written = write_result(settings, run, ranks, config)
    else:
        save(run)
        written = settings.state_folder
    facts["written"] = str(written)
    if ranks.first:
        write_atomic(facts_file, json.dumps(facts, indent=1) + "\n")
        if finished:
            remove_sharded(settings.state_folder)
    ranks.wait()
    return facts


def load_base(settings: Settings) -> tuple[Pretrained, ChatTemplate, LoRAConfig | None]:
    """The base model on the CPU with what is to be trained on it, its chat template, and the adapter's shape.

    Raises:
        CourseError: when the folder has no tokenizer or no template, or the adapter to start with is of another base.
    """
    dtype = {"float32": torch.float32, "bfloat16": torch.bfloat16}[settings.base_dtype]
    loaded, template = load_pretrained(settings.model, dtype), load_chat_template(settings.model)
    if loaded.tokenizer is None:
        raise CourseError(f"{settings.model} has no tokenizer.json, so no text can be read; copy the folder again")
    if settings.method == "full":
        loaded.model.requires_grad_(True)
        return loaded, template, None
    if settings.method == "qlora":
        quantize_linears(loaded.model)
    if settings.start:
        config = load_adapter(settings.start, loaded.model)
    else:
        config = settings.lora
        add_adapter(loaded.model, config, seed=settings.seed)
    return loaded, template, config


def write_result(settings: Settings, run: Run, ranks: Ranks, config: LoRAConfig | None) -> Path:
    """Write the adapter in peft's format, or the model's folder; all ranks call this, rank 0 writes.

    Rank 0 reads the base again and puts the gathered parameters into it: what is written does not depend on how the
    training was spread, and the fingerprint is that of the base as it is read.
    """
    tensors = whole_trained(run.model, keep=ranks.first)
    folder = Path(settings.out) / (MODEL if config is None else ADAPTER)
    if ranks.first:
        loaded, template, _ = load_base(settings)
        model = put(loaded.model, tensors)
        if config is not None:
            save_adapter(folder, model, config)
        elif not folder.exists():  # else this job was stopped right behind writing it
            dtype = {"float32": torch.float32, "bfloat16": torch.bfloat16}[settings.save_dtype]
            save_pretrained(folder, model, loaded.tokenizer, loaded.eos, dtype=dtype, chat_template=template.source)
    ranks.wait()
    return folder


def _trained(model):
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def _encoded(settings: Settings, loaded: Pretrained, template: ChatTemplate, context: int):
    """Training and validation samples as tokens; the latter may be None."""
    pairs = [read_conversations(settings.data, "train")]
    if settings.validation:
        split = "validation" if settings.validation.startswith(BUILT_IN) else "train"
        pairs.append(read_conversations(settings.validation, split))
    found = [encode_all(part, loaded.tokenizer, template, context) for part in pairs]
    return found[0], found[1] if settings.validation else None


def _digest(training: Encoded, validation: Encoded | None) -> str:
    """SHA-256 of tokens and masks: the data as the model sees them."""
    parts = [[[*one.ids], [*map(int, one.learn)]] for part in (training, validation) if part for one in part.examples]
    return sha256_bytes(json.dumps(parts).encode())


def _finished(path: Path, owner: dict) -> dict | None:
    """Facts of the finished job that the folder holds.

    Raises:
        CourseError: when it holds another one's.
    """
    if not path.is_file():
        return None
    facts = read_json(path, "the record of the training")
    if facts.get("owner") != owner:
        raise CourseError(f"{path.parent} holds the work of a job with another base, data or settings; choose another")
    return facts if facts["finished"] else None
