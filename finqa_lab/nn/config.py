"""The shape of a decoder: a frozen, validated record that travels with every checkpoint."""

import dataclasses
import math
from dataclasses import dataclass

from finqa_lab.errors import CourseError
from finqa_lab.nn.rope_scaling import RopeScaling

MLP_KINDS = ("relu", "swiglu")
POSITION_KINDS = ("learned", "rotary", "none")
_ALWAYS_STORED = 11  # fields up to norm_eps: checkpoints without the later ones keep their bytes


@dataclass(frozen=True)
class LatentConfig:
    """Widths of multi-head latent attention (DeepSeek-V2, arXiv 2405.04434, section 2.1).

    Args:
        key_value: width of the latent that keys and values of all heads are computed from, d_c.
        rotary: width of the one rotary key that all heads share, d_R (even).
        query: width of the latent that the queries are computed from; 0 projects them directly.

    Raises:
        CourseError: when a width does not fit.
    """

    key_value: int
    rotary: int
    query: int = 0

    def __post_init__(self):
        _whole_number("latent.key_value", self.key_value, at_least=1)
        _whole_number("latent.rotary", self.rotary, at_least=2)
        _whole_number("latent.query", self.query, at_least=0)
        if self.rotary % 2:
            raise CourseError(f"decoder latent.rotary is {self.rotary}; rotary positions turn pairs: make it even")


@dataclass(frozen=True)
class DecoderConfig:
    """Sizes and choices of a decoder-only transformer.

    Args:
        vocabulary: number of token ids, V.
        width: width of the residual stream, d (a multiple of ``heads``).
        layers: number of blocks, L.
        heads: number of query heads.
        hidden: width of the MLP's hidden layer.
        context: largest number of positions, T_max.
        kv_heads: number of key/value heads; 0 means as many as ``heads``. Fewer is grouped-query attention
            (Ainslie et al. 2023): each key/value head then serves ``heads / kv_heads`` query heads.
        mlp: ``"relu"`` (two matrices with biases) or ``"swiglu"`` (three matrices, no bias; Shazeer 2020).
        positions: ``"learned"`` adds a learned vector per absolute position; ``"rotary"`` turns queries and keys
            (Su et al. 2021); ``"none"`` does nothing.
        places: rows of an extra embedding table, indexed by digit place (units, tens, ...); 0 leaves it out.
        norm_eps: the epsilon of RMSNorm.
        head_dim: width of a head; 0 means ``width / heads``.
        rope_theta: base of the rotary frequencies.
        rope_scaling: their scaling for long contexts, or None.
        window: a position sees the last ``window`` positions only, itself included; 0 means all.
        sinks: with a window, the first positions that stay visible to all.
        tied: the output head is the transposed token embedding; otherwise a matrix of its own.
        latent: widths of latent attention, which then replaces grouped attention, or None.

    Raises:
        CourseError: naming the first field that does not fit and what would.

    >>> DecoderConfig(vocabulary=17, width=64, layers=2, heads=4, hidden=256, context=12).head_width
    16
    """

    vocabulary: int
    width: int
    layers: int
    heads: int
    hidden: int
    context: int
    kv_heads: int = 0
    mlp: str = "relu"
    positions: str = "learned"
    places: int = 0
    norm_eps: float = 1e-5
    head_dim: int = 0
    rope_theta: float = 10_000.0
    rope_scaling: RopeScaling | None = None
    window: int = 0
    sinks: int = 0
    tied: bool = True
    latent: LatentConfig | None = None

    def __post_init__(self):
        for name in ("vocabulary", "width", "layers", "heads", "hidden", "context"):
            _whole_number(name, getattr(self, name), at_least=1)
        for name in ("kv_heads", "places", "head_dim", "window", "sinks"):
            _whole_number(name, getattr(self, name), at_least=0)
        if not self.head_dim and self.width % self.heads:
            raise CourseError(
                f"decoder width {self.width} is not a multiple of its {self.heads} heads; change one of them"
            )
        if self.heads % self.key_value_heads:
            raise CourseError(
                f"decoder has {self.heads} query heads, not a multiple of kv_heads = {self.kv_heads}; "
                "use a divisor, or 0"
            )
        _one_of("mlp", self.mlp, MLP_KINDS)
        _one_of("positions", self.positions, POSITION_KINDS)
        if isinstance(self.norm_eps, bool) or not isinstance(self.norm_eps, int | float) or not 0 < self.norm_eps < 1:
            raise CourseError(f"decoder norm_eps is {self.norm_eps!r}; it must be a number between 0 and 1")
        self._check_positions()
        if self.sinks and not self.window:
            raise CourseError("decoder sinks are the positions kept outside a window; set window, or sinks to 0")
        if not isinstance(self.tied, bool):
            raise CourseError(f"decoder tied is {self.tied!r}; it must be true or false")
        if self.latent is not None and self.kv_heads:
            raise CourseError("decoder kv_heads must be 0 with latent attention, which has one latent for all heads")

    def _check_positions(self) -> None:
        theta = self.rope_theta
        if isinstance(theta, bool) or not isinstance(theta, int | float) or not 1 < theta < math.inf:
            raise CourseError(f"decoder rope_theta is {theta!r}; it must be a finite number above 1")
        if self.positions == "rotary":
            if self.latent is None and self.head_width % 2:
                raise CourseError(
                    f"decoder heads are {self.head_width} wide; rotary positions turn pairs: make the width even"
                )
        elif self.rope_scaling is not None or self.latent is not None:
            name = "rope_scaling" if self.latent is None else "latent"
            raise CourseError(f"decoder {name} needs positions 'rotary', not '{self.positions}'")

    @classmethod
    def llama(
        cls, vocabulary: int, width: int, layers: int, heads: int, hidden: int, context: int, **other
    ) -> "DecoderConfig":
        """The layout of Llama: rotary positions and SwiGLU; ``other`` fields as in the class.

        >>> DecoderConfig.llama(512, 64, 2, 8, 192, 1024, kv_heads=2).positions
        'rotary'
        """
        return cls(vocabulary, width, layers, heads, hidden, context, mlp="swiglu", positions="rotary", **other)

    @property
    def head_width(self) -> int:
        """Width of one head, which is ``head_dim`` or else d / heads."""
        return self.head_dim or self.width // self.heads

    @property
    def cache_shape(self) -> tuple[int, int, int]:
        """Heads, and the widths of the two tensors, that one layer caches for one position.

        Keys and values of every key/value head, or the latent and the rotary key of latent attention.

        >>> DecoderConfig(17, width=64, layers=2, heads=4, hidden=256, context=12, kv_heads=2).cache_shape
        (2, 16, 16)
        """
        if self.latent is not None:
            return 1, self.latent.key_value, self.latent.rotary
        return self.key_value_heads, self.head_width, self.head_width

    @property
    def key_value_heads(self) -> int:
        """Number of key/value heads, with the default resolved."""
        return self.kv_heads or self.heads

    def to_json(self) -> dict:
        """A dictionary of plain values, as stored in ``config.json``; optional fields at their default are left out."""
        defaults = {field.name: field.default for field in dataclasses.fields(self)[_ALWAYS_STORED:]}
        values = dataclasses.asdict(self)
        return {name: value for name, value in values.items() if name not in defaults or value != defaults[name]}

    @classmethod
    def from_json(cls, values: dict) -> "DecoderConfig":
        """The inverse of :meth:`to_json`; a missing optional field takes its default.

        Raises:
            CourseError: on an unknown or a missing field.
        """
        if not isinstance(values, dict):
            raise CourseError(f"decoder config must be an object with named fields, not {type(values).__name__}")
        fields = dataclasses.fields(cls)
        unknown = sorted(set(values) - {field.name for field in fields})
        if unknown:
            raise CourseError(
                f"decoder config has unknown field '{unknown[0]}'; known: {', '.join(f.name for f in fields)}"
            )
        for field in fields:
            if field.default is dataclasses.MISSING and field.name not in values:
                raise CourseError(f"decoder config lacks the field '{field.name}'")
        values = dict(values)
        for name, record in (("rope_scaling", RopeScaling), ("latent", LatentConfig)):
            values[name] = _nested(record, name, values.get(name))
        return cls(**values)


def _nested(record: type, name: str, value):
    """A record of a config's field, None kept."""
    if value is None or isinstance(value, record):
        return value
    try:
        return record(**value)
    except TypeError:
        allowed = ", ".join(field.name for field in dataclasses.fields(record))
        raise CourseError(f"decoder {name} is {value!r}; it must be null, or an object with {allowed}") from None


def _whole_number(name: str, value, at_least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < at_least:
        raise CourseError(f"decoder {name} is {value!r}; it must be a whole number of at least {at_least}")


def _one_of(name: str, value, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise CourseError(f"decoder {name} is {value!r}; allowed: {', '.join(allowed)}")
