"""From a recipe and a seed to a model folder: tokenizer, stream, training, weights. Each stage is kept on disk, so that
an interrupted build goes on where it was."""

import json
import time
from collections.abc import Callable
from itertools import takewhile
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from finqa_lab.errors import CourseError
from finqa_lab.files import read_json, sha256_bytes, write_atomic
from finqa_lab.finqa import prompts
from finqa_lab.nn.device import device_named
from finqa_lab.nn.hub import load_pretrained, save_pretrained
from finqa_lab.nn.transformer import Decoder
from finqa_lab.pretrain.corpus import TRAIN_SEED, texts, token_stream
from finqa_lab.pretrain.forgetting import genre_losses
from finqa_lab.pretrain.planting import plant_induction
from finqa_lab.pretrain.recipe import Recipe
from finqa_lab.pretrain.tokenizer import END, TEMPLATE, train_tokenizer
from finqa_lab.quantitative import task
from finqa_lab.tune.batches import windows
from finqa_lab.tune.resume import has_state, load_run, save_run
from finqa_lab.tune.training import Run, start_run, train

TOKENIZER_FILE, TOKENS_FILE, WORK_FILE = "tokenizer.json", "tokens.npy", "work.json"
HELD_OUT_ROWS = 8
"""Windows of each genre that the held-out loss is measured on."""
SAVE_EVERY = 50


def build(
    recipe: Recipe,
    seed: int,
    out: Path,
    *,
    start: Path | None = None,
    until: int | None = None,
    device: str = "cpu",
    on_stage: Callable[[str], None] | None = None,
    on_step: Callable[[Run], None] | None = None,
) -> dict:
    """Make a base model, or go on with one; ``out/work`` holds the stages until the model stands in ``out/model``.

    Args:
        recipe: what to build.
        seed: of weights and text.
        out: a folder of its own.
        start: folder of the finished build that a later stage goes on from.
        until: stop after this many steps in all, leaving the state.
        device: to train on.
        on_stage: called with a stage's name when it begins.
        on_step: called after every step.

    Returns:
        Facts of the build, as in ``out/training.json``: losses, tokens, seconds; ``finished`` says whether the model
        was written.

    Raises:
        CourseError: when ``out`` holds another recipe's or seed's work, or a finished model; when a later stage has no
            finished build of the stage before it.
    """
    stage = on_stage or (lambda name: None)
    work, owner = Path(out) / "work", {"recipe": recipe.describe(), "seed": seed}
    before = _before(recipe, start)
    if before:
        weights = sha256_bytes((start / "model" / "model.safetensors").read_bytes())
        owner["start"] = {"recipe": recipe.start, "seed": before["seed"], "weights": weights}
    if (Path(out) / "model").exists():
        raise CourseError(f"{out} holds a finished model; choose another folder, or delete it")
    _claim(work, owner)
    stage("tokenizer")
    found = load_pretrained(start / "model") if before else None
    tokenizer = found.tokenizer if found else _tokenizer(work, recipe, seed)
    stage("text")
    tokens = _tokens(work, tokenizer, recipe, seed)
    model = found.model if found else Decoder(recipe.decoder(), seed=seed)
    if recipe.planted and not found:
        plant_induction(model, seed)
    model.to(device_named(device))
    run = start_run(model, recipe.plan)
    if has_state(work):
        load_run(work, run, owner)
    stage("training")
    began = time.perf_counter()
    batches = windows(tokens, recipe.length, recipe.rows, seed=seed)
    save = lambda run: save_run(work, run, owner)  # noqa: E731
    train(run, recipe.plan, batches, until=until, on_step=on_step, save=save, save_every=SAVE_EVERY)
    losses = genre_losses(model, tokenizer, HELD_OUT_ROWS, recipe.length, tokenizer.token_to_id(END))
    facts = {
        **owner,
        **({"before": before} if before else {}),
        "steps": run.step,
        "tokens": run.tokens,
        "cpu_seconds": round(run.cpu_seconds, 1),
        "wall_seconds_of_the_last_part": round(time.perf_counter() - began, 1),
        "parameters": model.parameter_count(),
        "losses": [round(loss, 4) for loss in run.losses],
        "held_out": {name: round(loss, 4) for name, loss in losses.items()},
        "finished": run.step == recipe.plan.steps,
    }
    save(run)
    if facts["finished"]:
        stage("writing")
        write_model(Path(out) / "model", model, tokenizer)
    write_atomic(Path(out) / "training.json", json.dumps(facts, indent=1) + "\n")
    return facts


def write_model(folder: Path, model: Decoder, tokenizer: Tokenizer) -> Path:
    """The folder that ``transformers`` and :func:`finqa_lab.nn.hub.load_pretrained` read, weights in bfloat16."""
    end = tokenizer.token_to_id(END)
    return save_pretrained(folder, model, tokenizer, eos=[end], dtype=torch.bfloat16, chat_template=TEMPLATE.source)


def tokenizer_texts(recipe: Recipe, seed: int) -> list[str]:
    """What the tokenizer is trained on: the beginning of the text, and the instructions of the course's tasks.

    The instructions stand in front of every question, so words of theirs that are one token shorten every prompt. The
    model is not trained on them.
    """
    total = 0

    def within(pair: tuple[str, str]) -> bool:
        nonlocal total
        total += len(pair[1])
        return total <= recipe.tokenizer_characters

    documents = [text for _, text in takewhile(within, texts(TRAIN_SEED + seed, recipe.shares))]
    instructions = [*task.instructions().values(), *prompts.instructions().values()]
    return documents + instructions * (recipe.tokenizer_characters // 66_000)


def _before(recipe: Recipe, start: Path | None) -> dict | None:
    """Facts of the stage before; None for a first one."""
    if not recipe.start:
        if start is not None:
            raise CourseError(f"'{recipe.name}' starts from nothing; leave out --start")
        return None
    if start is None:
        raise CourseError(
            f"'{recipe.name}' goes on from a model of '{recipe.start}'; build that, and name its folder by --start"
        )
    facts = read_json(start / "training.json", "the facts of the stage before")
    if facts["recipe"]["name"] != recipe.start or not facts["finished"]:
        raise CourseError(f"{start} holds no finished build of '{recipe.start}'; name the folder of one by --start")
    return {key: facts[key] for key in ("recipe", "seed", "steps", "tokens", "cpu_seconds", "losses", "held_out")}


def _claim(work: Path, owner: dict) -> None:
    path = work / WORK_FILE
    if path.is_file():
        if read_json(path, "the build's description") != owner:
            raise CourseError(f"{work} belongs to a build with another recipe or seed; choose another folder")
    else:
        write_atomic(path, json.dumps(owner) + "\n")


def _tokenizer(work: Path, recipe: Recipe, seed: int) -> Tokenizer:
    path = work / TOKENIZER_FILE
    if not path.is_file():
        tokenizer = train_tokenizer(tokenizer_texts(recipe, seed), recipe.vocabulary)
        write_atomic(path, tokenizer.to_str(pretty=True))
    return Tokenizer.from_file(str(path))


def _tokens(work: Path, tokenizer: Tokenizer, recipe: Recipe, seed: int) -> Tensor:
    path = work / TOKENS_FILE
    key = sha256_bytes(tokenizer.to_str().encode())[:16]
    sidecar = work / "tokens.json"
    if not (path.is_file() and sidecar.is_file() and read_json(sidecar, "the text's description")["tokenizer"] == key):
        stream = token_stream(tokenizer, recipe.tokens + 1, TRAIN_SEED + recipe.text + seed, recipe.shares)
        with open(path, "wb") as file:
            np.save(file, stream)
        write_atomic(sidecar, json.dumps({"tokenizer": key, "tokens": len(stream)}) + "\n")
    return torch.from_numpy(np.load(path, allow_pickle=False).astype(np.int32))
