"""The recipes of ``data/models/finqa-tiny``: shape, text, optimization; and a smaller one for tests and labs.

The model is made in two stages, as large ones are: a long one on the whole mixture, and a shorter one that starts from
its weights, with the rate raised again and half of the text made for the skills that the first had learnt worst
(S. Hu and others, "MiniCPM", 2024, arXiv:2404.06395, adds the text of the wanted skills in a last stage as well).
"""

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
        start: name of the recipe whose finished model it goes on from; empty for a start from nothing.
        text: added to the seed of the text, so that a later stage reads what no earlier one has.
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
    start: str = ""
    text: int = 0

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


SECOND_RATE = 0.6
"""Highest learning rate of a second stage as a share of the first's."""
SECOND_SHARES = {
    "reports": 0.06, "filings": 0.03, "textbook": 0.03, "numbers": 0.08,
    "dialogues": 0.2, "bindings": 0.3, "sheets": 0.3,
}  # fmt: skip


def _plan(steps: int, rate: float = 1.0) -> Plan:
    return Plan(
        steps=steps,
        lr=2e-3 * rate,
        embedding=0.02 * rate,
        muon=0.013 * rate,
        warmup=max(1, min(40, steps // 10)),
        floor=0.02,
        weight_decay=0.1,
        precision="bfloat16",
    )


RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe("finqa-tiny-1", 256, 6, 4, 2, 704, _plan(2200)),
        Recipe("finqa-tiny", 256, 6, 4, 2, 704, _plan(1500, SECOND_RATE), shares=SECOND_SHARES, start="finqa-tiny-1",
               text=1000),
        Recipe("probe", 64, 2, 2, 1, 192, _plan(20), context=1024, vocabulary=512, length=96, rows=4,
               tokenizer_characters=60_000),
        Recipe("probe-2", 64, 2, 2, 1, 192, _plan(10, SECOND_RATE), context=1024, vocabulary=512, length=96, rows=4,
               shares=SECOND_SHARES, start="probe", text=1000),
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
    return recipe if steps is None else replace(recipe, plan=_plan(steps, SECOND_RATE if recipe.start else 1.0))
