"""``config.json`` of a Hugging Face ``LlamaForCausalLM`` or ``MistralForCausalLM``, to a decoder's config and back.

The two architectures compute the same but for Mistral's sliding window. What the decoder does not compute is refused,
never ignored: a checkpoint that loads gives the logits that ``transformers`` gives. Settings of training
(``attention_dropout``, ``initializer_range``) and of that library's machinery have no effect here.

Two contexts differ in meaning. With ``dynamic`` scaling ``max_position_embeddings`` is the context of pretraining and
longer sequences are allowed; our ``context`` is the longest sequence. It becomes the former times ``factor``.
"""

from finqa_lab.errors import CourseError
from finqa_lab.nn.config import DecoderConfig
from finqa_lab.nn.rope_scaling import RopeScaling, ntk_base

MODEL_TYPES = {"LlamaForCausalLM": "llama", "MistralForCausalLM": "mistral"}
_SIZES = {
    "vocabulary": "vocab_size",
    "width": "hidden_size",
    "layers": "num_hidden_layers",
    "heads": "num_attention_heads",
    "hidden": "intermediate_size",
    "context": "max_position_embeddings",
}
_SHARED = {"rms_norm_eps": 1e-6, "tie_word_embeddings": False}
_DEFAULTS = {  # what the classes of transformers assume for a field that the file lacks
    "llama": _SHARED,
    "mistral": _SHARED | {"num_key_value_heads": 8, "sliding_window": 4096},
}
_COMPUTED = {  # fields with one value that the decoder computes; absent or null means that value
    "attention_bias": False,
    "mlp_bias": False,
    "hidden_act": "silu",
    "partial_rotary_factor": 1.0,
    "quantization_config": None,
    "layer_types": None,
    "original_max_position_embeddings": None,  # at the top level it would override the one in rope_scaling
}
_ROPE_COMPUTED = {"partial_rotary_factor": 1.0, "truncate": True}
_ROPE_FIELDS = {  # by rope type; the names are those of RopeScaling but for original_max_position_embeddings
    "default": (),
    "linear": ("factor",),
    "dynamic": ("factor",),
    "yarn": ("factor", "original_max_position_embeddings", "beta_fast", "beta_slow", "attention_factor"),
    "llama3": ("factor", "original_max_position_embeddings", "low_freq_factor", "high_freq_factor"),
}
_ROPE_OPTIONAL = ("original_max_position_embeddings", "beta_fast", "beta_slow", "attention_factor")


def decoder_config(values: dict) -> DecoderConfig:
    """The decoder that a parsed ``config.json`` describes.

    Both spellings of the rotary settings are read: ``rope_theta`` with ``rope_scaling``, and the ``rope_parameters`` of
    transformers 5; as there, ``rope_scaling`` wins over ``rope_parameters``, and a base in either over ``rope_theta``.

    Raises:
        CourseError: naming the field that is absent, of the wrong kind, or asks for what the decoder does not compute.
    """
    model_type = _model_type(values)
    values = _DEFAULTS[model_type] | values
    for field, wanted in _COMPUTED.items():
        if values.get(field) not in (None, wanted):
            raise CourseError(f"{field} is {values[field]!r}; this decoder computes {wanted!r} only: use another model")
    sizes = {ours: _whole_number(values, theirs) for ours, theirs in _SIZES.items()}
    heads, width = sizes["heads"], sizes["width"]
    kv_heads = _whole_number(values, "num_key_value_heads", default=heads)
    head_dim = _whole_number(values, "head_dim", default=0)
    window = _whole_number(values, "sliding_window", default=0)
    if window and model_type == "llama":
        raise CourseError("sliding_window is set, but LlamaForCausalLM has none; remove it, or use MistralForCausalLM")
    theta, scaling = _rope(values, sizes["context"])
    if scaling is not None and scaling.kind == "dynamic":
        sizes["context"] = int(sizes["context"] * scaling.factor)
    return DecoderConfig(
        **sizes,
        kv_heads=0 if kv_heads == heads else kv_heads,
        mlp="swiglu",
        positions="rotary",
        norm_eps=values["rms_norm_eps"],
        head_dim=0 if head_dim * heads == width else head_dim,
        rope_theta=theta,
        rope_scaling=scaling,
        window=window,
        tied=values["tie_word_embeddings"],
    )


def hub_config(config: DecoderConfig) -> dict:
    """The inverse of :func:`decoder_config`, without token ids and dtype.

    The rotary settings are written as ``rope_theta`` and ``rope_scaling``, which old and new releases of transformers
    read. ``ntk`` scaling has no name there and becomes the base that it amounts to. The cap on ``dynamic`` scaling is
    not written: read back, it is ``original_context * factor``.

    Raises:
        CourseError: naming the field that neither architecture has.
    """
    needed = {"mlp": "swiglu", "positions": "rotary", "places": 0, "sinks": 0, "latent": None}
    for field, wanted in needed.items():
        if getattr(config, field) != wanted:
            raise CourseError(
                f"decoder {field} is {getattr(config, field)!r}; a Llama or Mistral folder can only hold {wanted!r}: "
                "use save_checkpoint"
            )
    # LlamaConfig refuses a width that is no multiple of the heads, even where head_dim is given
    mistral = config.window or config.width % config.heads
    architecture = "MistralForCausalLM" if mistral else "LlamaForCausalLM"
    theta, scaling, context = config.rope_theta, config.rope_scaling, config.context
    if scaling is not None and scaling.kind == "ntk":
        theta, scaling = ntk_base(config.head_width, theta, scaling.factor), None
    if scaling is not None and scaling.kind == "dynamic":
        context = scaling.original_context or context
    values = {"architectures": [architecture], "model_type": MODEL_TYPES[architecture]}
    values |= {theirs: getattr(config, ours) for ours, theirs in _SIZES.items()}
    values |= {
        "max_position_embeddings": context,
        "num_key_value_heads": config.key_value_heads,
        "head_dim": config.head_width,
        "hidden_act": "silu",
        "rms_norm_eps": config.norm_eps,
        "rope_theta": theta,
        "rope_scaling": None if scaling is None else _rope_scaling(scaling, context),
        "tie_word_embeddings": config.tied,
    }
    return values | ({"sliding_window": config.window or None} if mistral else {})


def _model_type(values: dict) -> str:
    architectures = values.get("architectures")
    known = [name for name, model_type in MODEL_TYPES.items() if architectures == [name]]
    if not known:
        raise CourseError(f"architectures is {architectures!r}; it must be a list of one of {', '.join(MODEL_TYPES)}")
    if values.get("model_type") != MODEL_TYPES[known[0]]:
        raise CourseError(
            f"model_type is {values.get('model_type')!r}; with {known[0]} it must be '{MODEL_TYPES[known[0]]}'"
        )
    return MODEL_TYPES[known[0]]


def _whole_number(values: dict, field: str, default: int | None = None) -> int:
    """A field of at least 1; ``default`` stands for an absent or null one, where it may be so."""
    value = values.get(field)
    if value is None and default is not None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise CourseError(f"{field} is {value!r}; it must be a whole number of at least 1")
    return value


def _rope(values: dict, context: int) -> tuple[float, RopeScaling | None]:
    """The base, and the scaling or None."""
    name = "rope_scaling" if values.get("rope_scaling") else "rope_parameters"
    given = values.get(name) or {}
    if not isinstance(given, dict):
        raise CourseError(f"{name} is {given!r}; it must be null or an object")
    fields = {key: value for key, value in given.items() if value is not None and _ROPE_COMPUTED.get(key) != value}
    kind = fields.pop("rope_type", fields.pop("type", "default"))
    theta = fields.pop("rope_theta", values.get("rope_theta") or 10_000.0)
    if not isinstance(kind, str) or kind not in _ROPE_FIELDS:
        raise CourseError(f"{name} has the type {kind!r}; this decoder knows {', '.join(_ROPE_FIELDS)}")
    for key, value in fields.items():
        if key not in _ROPE_FIELDS[kind]:
            raise CourseError(
                f"{name} has {key} = {value!r}, which is not computed here for type '{kind}'; use another model"
            )
    for key in _ROPE_FIELDS[kind]:
        if key not in fields and key not in _ROPE_OPTIONAL:
            raise CourseError(f"{name} of type '{kind}' lacks {key}; add it from the model's card")
    if kind == "default":
        return theta, None
    if fields.get("attention_factor") == 0:  # which means the usual one in RopeScaling
        raise CourseError(f"{name} has attention_factor = 0, which would blank all positions; leave it out")
    original = fields.pop("original_max_position_embeddings", 0 if kind == "linear" else context)
    return theta, RopeScaling(kind, original_context=original, **fields)


def _rope_scaling(scaling: RopeScaling, context: int) -> dict:
    fields = {"rope_type": scaling.kind}
    for key in _ROPE_FIELDS[scaling.kind]:
        if key == "original_max_position_embeddings":
            fields[key] = scaling.original_context or context
        elif key != "attention_factor" or scaling.attention_factor:
            fields[key] = float(getattr(scaling, key))
    return fields
