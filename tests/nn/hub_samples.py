"""Small models of transformers in every kind that the decoder reads, and what the tests of model folders share."""

import copy
import json

import pytest
import torch
import transformers
from transformers import AutoModelForCausalLM, LlamaConfig, MistralConfig

from finqa_lab.errors import CourseError
from finqa_lab.nn.config import DecoderConfig

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()

SMALL = {
    "vocab_size": 61,
    "hidden_size": 32,
    "intermediate_size": 40,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "max_position_embeddings": 64,
    "bos_token_id": None,
    "eos_token_id": None,
    "pad_token_id": None,
}
LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16}
LLAMAS = {
    "plain": {},
    "grouped heads": {"num_key_value_heads": 2, "rms_norm_eps": 1e-5},
    "one key/value head": {"num_key_value_heads": 1, "num_hidden_layers": 3},
    "tied": {"tie_word_embeddings": True},
    "base": {"rope_parameters": {"rope_type": "default", "rope_theta": 500_000.0}},
    "wide heads": {"head_dim": 12, "num_key_value_heads": 2},
    "odd sizes": {
        "vocab_size": 53,
        "hidden_size": 39,
        "num_attention_heads": 3,
        "num_key_value_heads": 3,
        "head_dim": 6,
        "intermediate_size": 41,
    },
    "linear": {"rope_parameters": {"rope_type": "linear", "factor": 2.5}},
    "dynamic": {"rope_parameters": {"rope_type": "dynamic", "factor": 4.0}, "max_position_embeddings": 16},
    "yarn": {"rope_parameters": YARN, "rope_theta": 1000.0},
    "yarn, all fields": {"rope_parameters": YARN | {"beta_fast": 8.0, "beta_slow": 2.0, "attention_factor": 1.3}},
    "llama3": {"rope_parameters": LLAMA3 | {"original_max_position_embeddings": 16}, "tie_word_embeddings": True},
}
MISTRALS = {
    "window": {"sliding_window": 5, "num_key_value_heads": 2},
    "no window": {"sliding_window": None, "num_key_value_heads": 1},
    "width no multiple of heads": {"sliding_window": None, "hidden_size": 30, "head_dim": 8},
}
CASES = {name: (LlamaConfig, changes) for name, changes in LLAMAS.items()}
CASES |= {name: (MistralConfig, changes) for name, changes in MISTRALS.items()}


def theirs(name):
    """One of the cases as a model of transformers, its weights drawn wide enough that attention is uneven."""
    kind, changes = copy.deepcopy(CASES[name])  # its configs write into the dictionaries they are given
    model = AutoModelForCausalLM.from_config(kind(**SMALL | changes), attn_implementation="eager")
    generator = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        if parameter.ndim == 1:
            parameter.data.uniform_(0.5, 1.5, generator=generator)
        else:
            parameter.data.normal_(0, parameter.shape[1] ** -0.5, generator=generator)
    return model.eval()


def ids(batch, length):
    return torch.randint(0, 53, (batch, length), generator=torch.Generator().manual_seed(0))


def small(**changes) -> DecoderConfig:
    fields = {"vocabulary": 61, "width": 16, "layers": 2, "heads": 4, "hidden": 24, "context": 32}
    return DecoderConfig(**fields | {"mlp": "swiglu", "positions": "rotary", "tied": False} | changes)


def refused(says, call, *arguments):
    """The call fails with one line that matches."""
    with pytest.raises(CourseError, match=says) as caught:
        call(*arguments)
    assert "\n" not in str(caught.value)


def edit(path, **changes):
    """Change fields of a JSON file."""
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
