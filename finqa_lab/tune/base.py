"""The model that is adapted: the shipped one, a folder, or a hub's, with its tokenizer and chat template."""

import os
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer

from finqa_lab.errors import CourseError
from finqa_lab.files import data_path
from finqa_lab.nn.device import device_named
from finqa_lab.nn.hub import load_pretrained
from finqa_lab.nn.transformer import Decoder
from finqa_lab.text.chat import ChatTemplate, load_chat_template

SHIPPED = "finqa-tiny"
"""The course's own base model, ``data/models/finqa-tiny``."""
_FILES = ("config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors")
_PATTERNS = ["*.json", "*.safetensors", "*.jinja"]


@dataclass(frozen=True)
class Base:
    """A chat model.

    Attributes:
        model: the decoder, in evaluation mode.
        tokenizer: of the library ``tokenizers``.
        template: how conversations are written.
        end: ids that end a reply.
        folder: where its files are.
    """

    model: Decoder
    tokenizer: Tokenizer
    template: ChatTemplate
    end: tuple[int, ...]
    folder: Path


def load_base(name: str = SHIPPED, dtype: torch.dtype = torch.float32, device: str = "cpu") -> Base:
    """Read a base model.

    Args:
        name: ``finqa-tiny``, a folder, or a model of a hub such as ``HuggingFaceTB/SmolLM2-135M-Instruct``, which is
            downloaded once to the hub library's cache (safetensors and JSON only; no code of it is run).
        dtype: of the parameters. Training adapters in float32 over a bfloat16 base is usual; training all of a
            bfloat16 model loses small updates.
        device: of the parameters.

    Raises:
        CourseError: when there is no such model, a file is damaged, or it has no tokenizer or chat template.
    """
    folder = model_folder(name)
    found = load_pretrained(folder, dtype, device_named(device))
    if found.tokenizer is None:
        raise CourseError(f"{folder} has no tokenizer.json; give a model folder with its tokenizer")
    return Base(found.model, found.tokenizer, load_chat_template(folder), found.eos, folder)


def model_folder(name: str) -> Path:
    """The folder of a model, downloaded when it is a hub's.

    Raises:
        CourseError: when it cannot be found or downloaded.
    """
    if name == SHIPPED:
        return [data_path(f"models/{SHIPPED}/{file}") for file in _FILES][0].parent
    if Path(name).is_dir():
        return Path(name)
    if name.count("/") != 1 or name.startswith((".", "/", "~")) or os.sep in name.replace("/", "", 1):
        raise CourseError(f"there is no model '{name}'; give {SHIPPED}, a folder, or a hub's owner/name")
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        raise CourseError(f"downloading {name} needs huggingface_hub; install it, or give a folder") from None
    try:
        return Path(snapshot_download(name, allow_patterns=_PATTERNS))
    except Exception as error:  # the library raises many kinds, and network errors of others
        raise CourseError(
            f"the model {name} is not in the hub's cache and could not be downloaded ({type(error).__name__}); go "
            f"online, or use the model {SHIPPED}"
        ) from None
