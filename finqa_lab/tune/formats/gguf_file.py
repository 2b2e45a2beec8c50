"""GGUF: a model, its tokenizer and its chat template in the one file that llama.cpp reads.

A GGUF file is a list of typed keys and a list of tensors (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md).
The package ``gguf`` of the llama.cpp project writes the bytes; what they mean is fixed by the reader, and some things
there differ from a Hugging Face folder.

**Rotation.** A Hugging Face Llama turns dimension i of a head together with i + w/2, llama.cpp 2i together with 2i + 1.
So the rows of the query and key matrices are put in another order, head by head; queries and keys are permuted alike,
their products stay. A file without this permutation loads without an error and writes another text.

**Pre-split.** The rule that cuts text into words is stored as the *name* of a rule that llama.cpp was compiled with,
not as a pattern. A tokenizer with a rule of its own has no name there, and is refused here.

**Ends.** Without an id for the end of a text, llama.cpp takes token 11 for it in every byte-level vocabulary.

**Conversations.** A file without a chat template is not refused either: llama.cpp then writes ChatML around messages.
"""

import importlib
import json
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer
from torch import Tensor

from finqa_lab.errors import CourseError
from finqa_lab.files import read_json
from finqa_lab.nn.hub import TOKENIZER_CONFIG_FILE, load_pretrained
from finqa_lab.nn.transformer import Decoder
from finqa_lab.text.chat import TEMPLATE_FILE, load_chat_template
from finqa_lab.text.pretokenize import PATTERNS

KINDS = ("F32", "F16", "Q8_0")
"""Types of the matrices; vectors are always F32."""
RULES = {PATTERNS["left"]: "llama-bpe", PATTERNS["single"]: "qwen2"}
"""Names in llama.cpp of pre-split patterns that cut every text as ours do."""
ENDS = ("eos", "eot", "eom")
_NORMAL, _CONTROL, _UNUSED = 1, 3, 5  # token types of the format
_NAMES = {
    "token_embedding.weight": "token_embd.weight",
    "norm.gain": "output_norm.weight",
    "head.weight": "output.weight",
    "attention_norm.gain": "attn_norm.weight",
    "attention.query.weight": "attn_q.weight",
    "attention.key.weight": "attn_k.weight",
    "attention.value.weight": "attn_v.weight",
    "attention.output.weight": "attn_output.weight",
    "mlp_norm.gain": "ffn_norm.weight",
    "mlp.gate.weight": "ffn_gate.weight",
    "mlp.up.weight": "ffn_up.weight",
    "mlp.down.weight": "ffn_down.weight",
}


def gguf():
    """The package, imported when first needed.

    Raises:
        CourseError: when it is not installed.
    """
    try:
        return importlib.import_module("gguf")
    except ImportError:
        raise CourseError(
            'GGUF files need the package gguf, which is not installed; run `pip install "finqa-lab[gguf]"`'
        ) from None


def write_gguf(
    path: str | os.PathLike,
    model: Decoder,
    tokenizer: Tokenizer,
    eos: Iterable[int],
    kind: str = "F32",
    chat_template: str | None = None,
    name: str = "decoder",
) -> Path:
    """Write a decoder in the layout of Llama as a GGUF file; it appears complete or not at all.

    Args:
        path: of the file, replaced when there.
        model: with rotary positions without scaling, SwiGLU, and no window.
        tokenizer: a byte-level BPE of the library ``tokenizers`` whose pre-split llama.cpp knows.
        eos: one to three ids of tokens that end a text.
        kind: of the matrices: "F32", "F16", or "Q8_0" (8 bits and a float16 scale for 32 weights, 8.5 bits a weight).
        chat_template: Jinja text, stored as ``tokenizer.chat_template``.
        name: of the model, for display.

    Raises:
        CourseError: when model or tokenizer have what the format has no place for, a weight is beyond float16, the
            file cannot be written, or the package is missing.
    """
    path, eos = Path(path), tuple(eos)
    _check(model, eos, kind)
    tokens, types, merges, rule = _vocabulary(tokenizer, model.config.vocabulary)
    library = gguf()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as temporary:
            draft = Path(temporary) / "model.gguf"
            writer = library.GGUFWriter(draft, "llama")
            _write_shape(writer, model, name, getattr(library.LlamaFileType, _FILE_TYPES[kind]))
            writer.add_tokenizer_model("gpt2")
            writer.add_tokenizer_pre(rule)
            writer.add_token_list(tokens)
            writer.add_token_types(types)
            writer.add_token_merges(merges)
            writer.add_add_bos_token(False)  # some rules imply one
            for end, index in zip(ENDS, eos):
                writer.add_uint32(f"tokenizer.ggml.{end}_token_id", index)
            if chat_template is not None:
                writer.add_chat_template(chat_template)
            for parameter_name, parameter in model.named_parameters():
                values, stored_as = _tensor(library, model, parameter_name, parameter, kind)
                writer.add_tensor(gguf_name(parameter_name), values, raw_dtype=stored_as)
            writer.write_header_to_file()
            writer.write_kv_data_to_file()
            writer.write_tensors_to_file()
            writer.close()
            os.replace(draft, path)
    except OSError as error:
        raise CourseError(
            f"cannot write {path}: {error.strerror or error}; free some space or choose a writable folder"
        ) from error
    return path


def folder_to_gguf(folder: str | os.PathLike, path: str | os.PathLike, kind: str = "F32") -> Path:
    """Convert a model folder in the Hugging Face layout, with its chat template where it has one.

    Raises:
        CourseError: as :func:`finqa_lab.nn.hub.load_pretrained` and :func:`write_gguf`.
    """
    folder = Path(folder)
    found = load_pretrained(folder)
    if found.tokenizer is None:
        raise CourseError(f"{folder} has no tokenizer, and a GGUF file holds one; save the model with its tokenizer")
    return write_gguf(path, found.model, found.tokenizer, found.eos, kind, chat_template(folder), folder.name)


def chat_template(folder: str | os.PathLike) -> str | None:
    """The Jinja text of a model folder's chat template, None when it has none.

    Raises:
        CourseError: when it has several; a GGUF file holds one.
    """
    folder = Path(folder)
    config = folder / TOKENIZER_CONFIG_FILE
    values = read_json(config, "the tokenizer's config") if config.is_file() else {}
    if not (folder / TEMPLATE_FILE).is_file() and not values.get("chat_template"):
        return None
    return load_chat_template(folder).source


def gguf_name(name: str) -> str:
    """The name of a decoder's parameter in a GGUF file.

    >>> gguf_name("blocks.3.attention.query.weight")
    'blk.3.attn_q.weight'
    """
    if not name.startswith("blocks."):
        return _NAMES[name]
    _, layer, rest = name.split(".", 2)
    return f"blk.{layer}.{_NAMES[rest]}"


def interleaved(matrix: Tensor, heads: int) -> Tensor:
    """Rows (heads * w, in) of a query or key matrix in llama.cpp's order: i and i + w/2 become 2i and 2i + 1.

    >>> import torch
    >>> interleaved(torch.arange(6)[:, None], heads=1)[:, 0].tolist()
    [0, 3, 1, 4, 2, 5]
    """
    rows, columns = matrix.shape
    return matrix.reshape(heads, 2, rows // heads // 2, columns).transpose(1, 2).reshape(rows, columns)


_FILE_TYPES = {"F32": "ALL_F32", "F16": "MOSTLY_F16", "Q8_0": "MOSTLY_Q8_0"}


def _check(model: Decoder, eos: tuple[int, ...], kind: str) -> None:
    config = model.config
    needed = {"mlp": "swiglu", "positions": "rotary", "rope_scaling": None, "window": 0, "places": 0, "latent": None}
    for field, wanted in needed.items():
        if getattr(config, field) != wanted:
            raise CourseError(
                f"decoder {field} is {getattr(config, field)!r}; a GGUF file of a Llama written here can only hold "
                f"{wanted!r}: save a Hugging Face folder instead"
            )
    for name, parameter in model.named_parameters():
        if ".adapters." in name or not parameter.is_floating_point():
            raise CourseError(
                f"the model has '{name}', which is no floating-point weight of the plain model; write a copy made with "
                "finqa_lab.tune.merged.merged_copy or finqa_lab.tune.linear4bit.dequantized"
            )
    if kind not in KINDS:
        raise CourseError(f"kind '{kind}' of GGUF is not written here; choose one of {', '.join(KINDS)}")
    if kind == "Q8_0":
        for side in ("width", "hidden"):
            if getattr(config, side) % 32:
                raise CourseError(f"decoder {side} is {getattr(config, side)}; Q8_0 takes multiples of 32: use F16")
        if config.heads * config.head_width % 32:
            raise CourseError("the heads together are no multiple of 32 wide, which Q8_0 takes; use F16")
    if not 1 <= len(eos) <= len(ENDS):
        raise CourseError(
            f"{len(eos)} ids end a text; give one to three: with none, llama.cpp would take token 11 for the end"
        )
    if not all(0 <= index < config.vocabulary for index in eos):
        raise CourseError(f"an id of {eos} is not in the vocabulary of {config.vocabulary}; correct it")


def _vocabulary(tokenizer: Tokenizer, size: int) -> tuple[list[str], list[int], list[str], str]:
    """Tokens by id, their types, the merges, and llama.cpp's name of the pre-split."""
    state = json.loads(tokenizer.to_str())
    model = state["model"]
    if model["type"] != "BPE" or state.get("normalizer") or model.get("byte_fallback"):
        raise CourseError("the tokenizer is no plain byte-level BPE, the one kind that is written here; use another")
    rule = _rule(state.get("pre_tokenizer") or {})
    special = {token["id"]: token["content"] for token in state["added_tokens"]}
    text_of = {index: text for text, index in model["vocab"].items()} | special
    if max(text_of, default=-1) >= size:
        raise CourseError(f"the tokenizer has ids up to {max(text_of)}, the model's embedding {size} rows; use its own")
    merges = [pair if isinstance(pair, str) else " ".join(pair) for pair in model["merges"]]
    if rule != "llama-bpe":
        made = {merge.replace(" ", "") for merge in merges}
        if any(len(text) > 1 and text not in made for index, text in text_of.items() if index not in special):
            raise CourseError(f"the tokenizer has whole words that no merge makes, which the rule '{rule}' never uses")
    tokens = [text_of.get(index, f"[UNUSED{index}]") for index in range(size)]
    types = [_CONTROL if i in special else _NORMAL if i in text_of else _UNUSED for i in range(size)]
    return tokens, types, merges, rule


def _rule(pre: dict) -> str:
    parts = pre.get("pretokenizers", [pre])
    kinds = [part.get("type") for part in parts]
    if kinds == ["ByteLevel"] and parts[0].get("use_regex", True) and not parts[0].get("add_prefix_space"):
        return "gpt-2"
    if kinds == ["Split", "ByteLevel"] and not parts[1].get("use_regex", True):
        pattern = parts[0]["pattern"].get("Regex")
        if pattern in RULES:
            return RULES[pattern]
    known = ", ".join(policy for policy, pattern in PATTERNS.items() if pattern in RULES)
    raise CourseError(
        f"the tokenizer's pre-split has no name in llama.cpp; train one with the digits {known}, or serve the folder "
        "with a server that reads tokenizer.json"
    )


def _write_shape(writer, model: Decoder, name: str, file_type: int) -> None:
    config = model.config
    writer.add_name(name)
    writer.add_file_type(file_type)
    writer.add_quantization_version(2)  # of the blocks' layout
    writer.add_context_length(config.context)
    writer.add_embedding_length(config.width)
    writer.add_block_count(config.layers)
    writer.add_feed_forward_length(config.hidden)
    writer.add_head_count(config.heads)
    writer.add_head_count_kv(config.key_value_heads)
    writer.add_key_length(config.head_width)
    writer.add_value_length(config.head_width)
    writer.add_layer_norm_rms_eps(config.norm_eps)
    writer.add_rope_dimension_count(config.head_width)
    writer.add_rope_freq_base(config.rope_theta)
    writer.add_vocab_size(config.vocabulary)


def _tensor(library, model: Decoder, name: str, parameter: Tensor, kind: str):
    values = parameter.detach().float().cpu()
    if name.endswith(("attention.query.weight", "attention.key.weight")):
        heads = model.config.heads if "query" in name else model.config.key_value_heads
        values = interleaved(values, heads)
    values = values.contiguous().numpy()
    types = library.GGMLQuantizationType
    if values.ndim == 1 or kind == "F32":
        return values, types.F32
    if np.abs(values).max() > np.finfo(np.float16).max:
        raise CourseError(f"'{name}' has a weight beyond the range of float16, which {kind} needs; write F32")
    if kind == "F16":
        return values.astype(np.float16), types.F16
    return library.quants.quantize(values, types.Q8_0), types.Q8_0
