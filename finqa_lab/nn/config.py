"""The shape of a decoder: a frozen, validated record that travels with every checkpoint."""

import dataclasses
from dataclasses import dataclass

from finqa_lab.errors import CourseError

MLP_KINDS = ("relu", "swiglu")
POSITION_KINDS = ("learned", "none")


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
        positions: ``"learned"`` adds a learned vector per absolute position; ``"none"`` adds nothing.
        places: rows of an extra embedding table, indexed by digit place (units, tens, ...); 0 leaves it out.
        norm_eps: the epsilon of RMSNorm.

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

    def __post_init__(self):
        for name in ("vocabulary", "width", "layers", "heads", "hidden", "context"):
            _whole_number(name, getattr(self, name), at_least=1)
        for name in ("kv_heads", "places"):
            _whole_number(name, getattr(self, name), at_least=0)
        if self.width % self.heads:
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

    @property
    def head_width(self) -> int:
        """Width of one head, d / heads."""
        return self.width // self.heads

    @property
    def key_value_heads(self) -> int:
        """Number of key/value heads, with the default resolved."""
        return self.kv_heads or self.heads

    def to_json(self) -> dict:
        """A dictionary of plain values, as stored in ``config.json``."""
        return dataclasses.asdict(self)

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
        return cls(**values)


def _whole_number(name: str, value, at_least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < at_least:
        raise CourseError(f"decoder {name} is {value!r}; it must be a whole number of at least {at_least}")


def _one_of(name: str, value, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise CourseError(f"decoder {name} is {value!r}; allowed: {', '.join(allowed)}")
