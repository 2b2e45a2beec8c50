"""The recipe of ``data/models/finqa-tiny``: shape, text, optimization; and a smaller one for tests and labs."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace

from finqa_lab.errors import CourseError
from finqa_lab.nn.config import DecoderConfig
from finqa_lab.pretrain.corpus import SHARES
from finqa_lab.tune.plan import Plan


@dataclass(frozen=True)
class Recipe:
    """Everything that determines a base model but the seed.

    Attributes:
        name: of the recipe.
        width, layers, heads, kv_heads, hidden, context, vocabulary: of the decoder.
        length: predicted tokens a window.
        rows: windows a step.
        plan: of the optimizer.
        planted: whether the starting weights hold an induction head (:mod:`finqa_lab.pretrain.planting`).
        tokenizer_characters: of the text that the tokenizer is trained on.
        shares: of the genres of the text, in characters.
    """

    name: str
    width: int
    layers: int
    heads: int
    kv_heads: int
    hidden: int
    plan: Plan
    planted: bool = True
    context: int = 1024
    vocabulary: int = 2048
    length: int = 640
    rows: int = 8
    tokenizer_characters: int = 4_000_000
    shares: Mapping[str, float] = field(default_factory=lambda: dict(SHARES))

    @property
    def tokens(self) -> int:
        """Predicted tokens in all; the text is as long, so that no window is seen twice."""
        return self.plan.steps * self.rows * self.length

    def decoder(self) -> DecoderConfig:
        """The shape: Llama's layout, tied embeddings."""
        return DecoderConfig.llama(
            self.vocabulary,
            self.width,
            self.layers,
            self.heads,
            self.hidden,
            self.context,
            kv_heads=self.kv_heads,
            tied=True,
        )

    def describe(self) -> dict:
        """JSON-ready."""
        values = asdict(self)
        values["plan"]["betas"] = list(self.plan.betas)
        return values


def _plan(steps: int) -> Plan:
    return Plan(
        steps=steps,
        lr=2e-3,
        embedding=0.02,
        muon=0.013,
        warmup=max(1, min(40, steps // 10)),
        floor=0.02,
        weight_decay=0.1,
        precision="bfloat16",
    )


RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe("finqa-tiny", 256, 6, 4, 2, 704, _plan(2200)),
        Recipe("probe", 64, 2, 2, 1, 192, _plan(20), context=1024, vocabulary=512, length=96, rows=4,
               tokenizer_characters=60_000),
    )
}  # fmt: skip


def recipe_named(name: str, steps: int | None = None) -> Recipe:
    """A recipe, with another number of steps when given.

    Raises:
        CourseError: for an unknown name.
    """
    if name not in RECIPES:
        raise CourseError(f"there is no recipe '{name}' of a base model; choose one of {', '.join(RECIPES)}")
    recipe = RECIPES[name]
    return recipe if steps is None else replace(recipe, plan=_plan(steps))
