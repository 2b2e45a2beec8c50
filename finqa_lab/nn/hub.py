"""A Hugging Face model folder, read into a decoder and written from one.

The folder holds ``config.json`` (:mod:`finqa_lab.nn.hub_config`), safetensors (:mod:`finqa_lab.nn.hub_weights`), and
perhaps ``tokenizer.json``, which the library ``tokenizers`` reads. Nothing in it is run.
"""

import json
import os
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from tokenizers import Tokenizer

from finqa_lab.errors import CourseError
from finqa_lab.files import read_json, write_atomic
from finqa_lab.nn.hub_config import decoder_config, hub_config
from finqa_lab.nn.hub_weights import read_weights, write_weights
from finqa_lab.nn.transformer import Decoder

CONFIG_FILE, GENERATION_FILE = "config.json", "generation_config.json"
TOKENIZER_FILE, TOKENIZER_CONFIG_FILE = "tokenizer.json", "tokenizer_config.json"


@dataclass(frozen=True)
class Pretrained:
    """What a model folder holds.

    Attributes:
        model: the decoder, in evaluation mode.
        tokenizer: of the library ``tokenizers``; None when the folder has no ``tokenizer.json``.
        eos: ids of the tokens that end a text; empty when the folder names none.
    """

    model: Decoder
    tokenizer: Tokenizer | None
    eos: tuple[int, ...]


def load_pretrained(
    folder: str | os.PathLike, dtype: torch.dtype = torch.float32, device: str | torch.device = "cpu"
) -> Pretrained:
    """Read a folder written by :func:`save_pretrained` or by ``transformers``.

    Args:
        folder: with ``config.json`` and safetensors; ``architectures`` must be Llama's or Mistral's.
        dtype: of the parameters; stored tensors of another floating type are cast.
        device: of the parameters.

    Raises:
        CourseError: one sentence naming the file, and the field or tensor that does not fit.
    """
    folder = Path(folder)
    path = folder / CONFIG_FILE
    if not path.is_file():
        raise CourseError(f"{folder} has no {CONFIG_FILE}; give a model folder in the Hugging Face layout")
    values = _read_object(path)
    try:
        config = decoder_config(values)
    except CourseError as error:
        raise CourseError(f"{path}: {error}") from None
    eos = _read_eos(folder, values)
    tokenizer = _read_tokenizer(folder)
    _check_ids(folder, config.vocabulary, tokenizer, eos)
    return Pretrained(read_weights(folder, config, dtype, device), tokenizer, eos)


def save_pretrained(
    folder: str | os.PathLike,
    model: Decoder,
    tokenizer: Tokenizer | None = None,
    eos: Iterable[int] = (),
    max_shard_bytes: int = 5 * 10**9,
    dtype: torch.dtype | None = None,
    chat_template: str | None = None,
) -> Path:
    """Write a folder that ``AutoModelForCausalLM`` and ``AutoTokenizer`` read; it appears complete or not at all.

    Args:
        folder: new or empty.
        model: with rotary positions and SwiGLU; see :func:`finqa_lab.nn.hub_config.hub_config`.
        tokenizer: of the library ``tokenizers``; its ids must fit the vocabulary.
        eos: ids of the tokens that end a text; the first becomes the tokenizer's ``eos_token`` where it is special.
        max_shard_bytes: weights beyond this are split into shards; a larger tensor has a shard of its own.
        dtype: of the written weights; None keeps that of the model.
        chat_template: the Jinja program of :mod:`finqa_lab.text.chat`, written beside the tokenizer.

    Raises:
        CourseError: when the folder holds something, cannot be written, or the format lacks what the model has:
            adapters, or weights in codes of few bits.
    """
    folder, eos = Path(folder), tuple(eos)
    for name, parameter in model.named_parameters():
        if ".adapters." in name or not parameter.is_floating_point():
            raise CourseError(
                f"the model has '{name}', which is no floating-point weight of the plain model; save a copy made with "
                "finqa_lab.tune.merged.merged_copy or finqa_lab.tune.linear4bit.dequantized"
            )
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise CourseError(
            f"{folder} exists and is not empty; give a new folder, in which no file of another model is left"
        )
    values = hub_config(model.config)
    _check_ids(folder, model.config.vocabulary, tokenizer, eos)
    dtype = dtype or model.token_embedding.weight.dtype
    # without these fields transformers assumes the ids of Llama's own tokenizer
    values |= {"bos_token_id": None, "eos_token_id": eos[0] if len(eos) == 1 else list(eos) or None}
    values |= {"dtype": str(dtype).removeprefix("torch.")}
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as temporary:
            draft = Path(temporary) / "model"
            draft.mkdir()
            write_weights(draft, model, max_shard_bytes, dtype)
            if tokenizer is not None:
                write_atomic(draft / TOKENIZER_FILE, tokenizer.to_str(pretty=True))
                values_beside = _tokenizer_config(tokenizer, eos, model.config.context)
                if chat_template is not None:
                    values_beside["chat_template"] = chat_template
                _write_json(draft / TOKENIZER_CONFIG_FILE, values_beside)
            _write_json(draft / CONFIG_FILE, values)
            if folder.exists():  # empty; Windows renames onto no folder
                folder.rmdir()
            draft.rename(folder)
    except (OSError, SafetensorError) as error:
        raise CourseError(f"cannot write {folder}: {error}; free some space or choose a writable folder") from error
    return folder


def _write_json(path: Path, values: dict) -> None:
    write_atomic(path, json.dumps(values, indent=2, sort_keys=True) + "\n")


def _tokenizer_config(tokenizer: Tokenizer, eos: tuple[int, ...], context: int) -> dict:
    """Enough for AutoTokenizer to wrap ``tokenizer.json`` without changing what it does."""
    special = {index: token.content for index, token in tokenizer.get_added_tokens_decoder().items() if token.special}
    named = {"eos_token": special[eos[0]]} if eos and eos[0] in special else {}
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",  # transformers 4 would go by model_type
        "clean_up_tokenization_spaces": False,
        "model_max_length": context,
    } | named


def _read_object(path: Path) -> dict:
    values = read_json(path, "the model's file")
    if not isinstance(values, dict):
        raise CourseError(f"{path} holds no JSON object with named fields; copy the folder again")
    return values


def _read_eos(folder: Path, values: dict) -> tuple[int, ...]:
    """End ids of ``generation_config.json`` where it names some, else of ``config.json``."""
    path = folder / GENERATION_FILE
    generation = _read_object(path).get("eos_token_id") if path.is_file() else None
    found = values.get("eos_token_id") if generation is None else generation
    return () if found is None else tuple(found) if isinstance(found, list) else (found,)


def _read_tokenizer(folder: Path) -> Tokenizer | None:
    path = folder / TOKENIZER_FILE
    if not path.is_file():
        return None
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises nothing narrower
        raise CourseError(f"{path} is not a tokenizer: {error}; copy the folder again") from None


def _check_ids(folder: Path, vocabulary: int, tokenizer: Tokenizer | None, eos: tuple) -> None:
    """Every id that can reach the embedding must have a row there."""
    for index in eos:
        if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < vocabulary:
            raise CourseError(
                f"{folder}: eos_token_id {index!r} is no id of the {vocabulary} in the model's vocabulary; correct it"
            )
    if tokenizer is None:
        return
    size, highest = tokenizer.get_vocab_size(), max(tokenizer.get_vocab().values(), default=-1)
    if max(size, highest + 1) > vocabulary:
        raise CourseError(
            f"{folder}: the tokenizer has {size} tokens with ids up to {highest}, but the embedding has {vocabulary} "
            "rows; use the tokenizer that the model was trained with"
        )
