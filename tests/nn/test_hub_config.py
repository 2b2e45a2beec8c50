"""``config.json`` of Llama and Mistral: what is read as transformers reads it, and every field that is refused."""

import pytest
import transformers

from finqa_lab.nn.config import LatentConfig
from finqa_lab.nn.hub_config import decoder_config, hub_config
from finqa_lab.nn.rope_scaling import RopeScaling
from tests.nn.hub_samples import LLAMA3, SMALL, YARN, refused, small

LONG = {"rope_type": "longrope", "short_factor": [1.0], "long_factor": [2.0]}


def test_defaults_of_the_classes_stand_for_absent_fields():
    """An old file: rotary settings at the top level and by their old names, little else."""
    old = {name: value for name, value in SMALL.items() if "token_id" not in name and "key_value" not in name}
    old |= {"rope_theta": 5e5, "rope_scaling": {"type": "linear", "factor": 2.0}, "torch_dtype": "float16"}
    for kind, more in (("Llama", {}), ("Mistral", {"num_attention_heads": 16})):
        values = old | more | {"architectures": [f"{kind}ForCausalLM"], "model_type": kind.lower()}
        theirs = getattr(transformers, f"{kind}Config").from_dict(values.copy())
        ours = decoder_config(values)
        assert ours.key_value_heads == theirs.num_key_value_heads
        assert (ours.norm_eps, ours.tied) == (theirs.rms_norm_eps, theirs.tie_word_embeddings)
        assert ours.window == (getattr(theirs, "sliding_window", None) or 0)
        assert ours.rope_theta == theirs.rope_parameters["rope_theta"] == 5e5
        assert ours.rope_scaling == RopeScaling("linear", theirs.rope_parameters["factor"])


@pytest.mark.parametrize("kind", ["dynamic", "yarn"])
def test_contexts_of_scaling_are_those_of_transformers(kind):
    scaling = RopeScaling(kind, 2.5, original_context=9)
    values = hub_config(small(context=30, rope_scaling=scaling))
    assert values["max_position_embeddings"] == (9 if kind == "dynamic" else 30)
    again = decoder_config(values)
    assert again.rope_scaling == scaling
    assert again.context == (22 if kind == "dynamic" else 30)
    unnamed = hub_config(small(context=30, rope_scaling=RopeScaling(kind, 2.5)))
    assert decoder_config(unnamed).rope_scaling.original_context == 30


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"mlp": "relu"}, "decoder mlp is 'relu'; .* only hold 'swiglu'"),
        ({"positions": "learned"}, "decoder positions is 'learned'"),
        ({"places": 4}, "decoder places is 4"),
        ({"window": 4, "sinks": 1}, "decoder sinks is 1"),
        ({"latent": LatentConfig(8, 4)}, "decoder latent is LatentConfig"),
    ],
)
def test_what_the_format_lacks_is_not_written(changes, says):
    refused(says, hub_config, small(**changes))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"architectures": ["GPT2LMHeadModel"]},
            "architectures is .*GPT2LMHeadModel.*one of LlamaForCausalLM, Mistral",
        ),
        ({"architectures": ...}, "architectures is None"),
        ({"model_type": "smollm3"}, "model_type is 'smollm3'; with LlamaForCausalLM it must be 'llama'"),
        ({"attention_bias": True}, "attention_bias is True; this decoder computes False only"),
        ({"mlp_bias": True}, "mlp_bias is True"),
        ({"hidden_act": "gelu"}, "hidden_act is 'gelu'; this decoder computes 'silu' only"),
        ({"partial_rotary_factor": 0.5}, "partial_rotary_factor is 0.5"),
        ({"quantization_config": {"bits": 4}}, "quantization_config is {'bits': 4}"),
        ({"layer_types": ["sliding_attention"] * 2}, "layer_types is"),
        ({"original_max_position_embeddings": 8}, "original_max_position_embeddings is 8"),
        ({"sliding_window": 4}, "sliding_window is set, but LlamaForCausalLM has none"),
        ({"sliding_window": 0}, "sliding_window is 0; it must be a whole number of at least 1"),
        ({"hidden_size": ...}, "hidden_size is None; it must be a whole number of at least 1"),
        ({"vocab_size": "61"}, "vocab_size is '61'"),
        ({"num_hidden_layers": True}, "num_hidden_layers is True"),
        ({"num_key_value_heads": 3}, "not a multiple of kv_heads = 3"),
        ({"head_dim": 5}, "heads are 5 wide; rotary positions turn pairs"),
        ({"rms_norm_eps": None}, "norm_eps is None"),
        ({"tie_word_embeddings": "no"}, "tied is 'no'"),
        ({"rope_theta": "big"}, "rope_theta is 'big'"),
        ({"rope_scaling": [1]}, "rope_scaling is .*; it must be null or an object"),
        ({"rope_scaling": LONG}, "rope_scaling has the type 'longrope'; this decoder knows default, linear"),
        ({"rope_scaling": {"type": "su"}}, "rope_scaling has the type 'su'"),
        ({"rope_parameters": {"rope_type": ["yarn"]}}, "rope_parameters has the type \\['yarn'\\]"),
        ({"rope_parameters": {"full_attention": {"rope_theta": 2.0}}}, "rope_parameters has full_attention = "),
        ({"rope_scaling": YARN | {"mscale": 0.7, "mscale_all_dim": 1.0}}, "has mscale = 0.7, which .* for type 'yarn'"),
        ({"rope_scaling": YARN | {"truncate": False}}, "has truncate = False"),
        ({"rope_scaling": YARN | {"partial_rotary_factor": 0.5}}, "has partial_rotary_factor = 0.5"),
        ({"rope_scaling": YARN | {"attention_factor": 0}}, "has attention_factor = 0"),
        ({"rope_scaling": YARN | {"factor": None}}, "rope_scaling of type 'yarn' lacks factor"),
        ({"rope_scaling": {"type": "linear"}}, "rope_scaling of type 'linear' lacks factor"),
        ({"rope_scaling": {"type": "linear", "factor": "2"}}, "rope scaling factor is '2'"),
        ({"rope_scaling": {"type": "dynamic", "factor": 0.5}}, "rope scaling factor is 0.5"),
        ({"rope_scaling": LLAMA3 | {"high_freq_factor": None}}, "of type 'llama3' lacks high_freq_factor"),
        ({"rope_scaling": LLAMA3 | {"high_freq_factor": 0.5}}, "high_freq_factor 0.5 must exceed"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_config_that_does_not_fit_is_refused(changes, says):
    values = hub_config(small()) | changes
    refused(says, decoder_config, {field: value for field, value in values.items() if value is not ...})


def test_neutral_values_are_accepted():
    neutral = {"attention_bias": None, "hidden_act": "silu", "partial_rotary_factor": 1.0, "sliding_window": None}
    neutral |= {"attention_dropout": 0.1, "pretraining_tp": 2, "head_dim": None, "num_key_value_heads": None}
    neutral |= {"rope_scaling": YARN | {"mscale": None, "truncate": True, "type": "yarn"}}
    assert decoder_config(hub_config(small()) | neutral) == small(rope_scaling=RopeScaling("yarn", 4.0, 16))
