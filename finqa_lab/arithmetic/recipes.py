"""Named training recipes: model shape, data, optimiser and schedule, each a frozen record."""

import dataclasses
from dataclasses import dataclass

from finqa_lab.arithmetic.formats import named
from finqa_lab.arithmetic.tasks import Arithmetic, Task
from finqa_lab.errors import CourseError
from finqa_lab.nn.config import DecoderConfig

FIXED_ROWS = 40_044  # the size of the training set of the public reference implementation


@dataclass(frozen=True)
class Optimisation:
    """How a model is trained.

    Args:
        steps: optimiser steps.
        batch: rows a step.
        optimizer: ``adamw`` for everything, or ``muon`` for the matrices inside the blocks and AdamW for the rest.
        lr: peak learning rate of AdamW.
        muon_lr: peak learning rate of Muon.
        warmup: steps of linear warm-up.
        schedule: after the warm-up: ``cosine`` down to 2%, ``linear`` down to 0, or ``flat`` with a linear decay to 0
            over the last 40%.
        weight_decay: decoupled, on matrices only.
        clip: largest norm of the gradient; 0 does not clip.
        average: decay of an exponential average of the weights, which then is the result; 0 for none.
    """

    steps: int
    batch: int = 256
    optimizer: str = "adamw"
    lr: float = 4e-3
    muon_lr: float = 0.02
    warmup: int = 100
    schedule: str = "cosine"
    weight_decay: float = 0.01
    clip: float = 1.0
    average: float = 0.0

    def __post_init__(self):
        for name, allowed in (("optimizer", ("adamw", "muon")), ("schedule", ("cosine", "linear", "flat"))):
            if getattr(self, name) not in allowed:
                raise CourseError(f"{name} is {getattr(self, name)!r}; allowed: {', '.join(allowed)}")
        for name in ("steps", "batch"):
            if getattr(self, name) < 1:
                raise CourseError(f"{name} is {getattr(self, name)}; it must be at least 1")


@dataclass(frozen=True)
class Recipe:
    """A model of sums and differences, from shape to last step.

    Args:
        name: its name in ``RECIPES``.
        spelling: name of the format.
        width, layers, heads, hidden: shape of the decoder.
        optimisation: how it is trained.
        sampler: which problems a batch holds.
        rows: size of the fixed training set; 0 draws new problems for every batch.
    """

    name: str
    spelling: str
    width: int
    layers: int
    heads: int
    hidden: int
    optimisation: Optimisation
    sampler: str = "uniform"
    rows: int = 0

    def task(self, seed: int) -> Arithmetic:
        """The data; a fixed set is drawn with ``seed``."""
        return Arithmetic(named(self.spelling), self.sampler, self.rows, seed)

    def decoder(self, task: Task) -> DecoderConfig:
        """The shape of the model for a task."""
        return DecoderConfig(
            vocabulary=task.vocabulary,
            width=self.width,
            layers=self.layers,
            heads=self.heads,
            hidden=self.hidden,
            context=task.length,
            places=task.place_rows,
        )

    def changed(self, **changes) -> "Recipe":
        """A copy with other values; names of :class:`Optimisation` reach into it.

        >>> RECIPES["main"].changed(steps=10, sampler="mixed").optimisation.steps
        10
        """
        inner = {field.name for field in dataclasses.fields(Optimisation)} & set(changes)
        optimisation = dataclasses.replace(self.optimisation, **{name: changes.pop(name) for name in inner})
        return dataclasses.replace(self, optimisation=optimisation, **changes)

    def describe(self) -> dict:
        """Plain values for the checkpoint."""
        return dataclasses.asdict(self)


_MUON = Optimisation(steps=2500, optimizer="muon", lr=4e-3, warmup=50, schedule="linear", weight_decay=0.01, clip=0.0)

RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe("main", "reversed", 64, 2, 4, 256, Optimisation(1500), sampler="mixed"),
        Recipe("fixed", "reversed", 64, 2, 4, 256, Optimisation(2000), sampler="balanced", rows=FIXED_ROWS),
        Recipe("small", "reversed", 32, 2, 2, 128, Optimisation(3000, lr=8e-3)),
        Recipe("tiny", "reversed", 16, 2, 2, 64, Optimisation(4000, lr=1e-2)),
        Recipe("plain", "plain", 64, 3, 4, 256, _MUON),
        Recipe("text", "text_places", 64, 3, 4, 256, dataclasses.replace(_MUON, steps=5000), sampler="balanced"),
    )
}


def recipe_named(name: str) -> Recipe:
    """The recipe of that name.

    Raises:
        CourseError: listing the names there are.
    """
    if name not in RECIPES:
        raise CourseError(f"there is no arithmetic recipe '{name}'; choose one of: {', '.join(RECIPES)}")
    return RECIPES[name]
