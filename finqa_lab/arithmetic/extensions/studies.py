"""Each extension trained and measured: what the lab shows shortened and the benchmark runs in full.

``STUDIES`` names them. A study takes a seed, a scale for its training steps (1.0 is the full length), a share of the
problems to ask and a device, and returns one :class:`Row` per model and set of problems.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from finqa_lab.arithmetic.evaluation import evaluate
from finqa_lab.arithmetic.extensions.division import DIVISORS, Division
from finqa_lab.arithmetic.extensions.lengths import LongSums, exact_by_length
from finqa_lab.arithmetic.extensions.oversampling import Oversampled
from finqa_lab.arithmetic.extensions.signed import SignedDifference
from finqa_lab.arithmetic.extensions.written import WrittenTask, score
from finqa_lab.arithmetic.formats import FORMATS
from finqa_lab.arithmetic.multiplication import Multiplication
from finqa_lab.arithmetic.problems import SPACE
from finqa_lab.arithmetic.recipes import RECIPES, Optimisation
from finqa_lab.arithmetic.training import Run, start_run, train
from finqa_lab.nn.config import DecoderConfig
from finqa_lab.nn.device import device_named
from finqa_lab.nn.transformer import Decoder


@dataclass(frozen=True)
class Row:
    """One model's figures.

    Attributes:
        task: what was trained.
        asked: which problems were asked, in words.
        parameters: size of the model.
        cpu_seconds: of training alone.
        asked_count, wrong: problems asked and answered wrongly.
        held_out_asked, held_out_wrong: the same for problems that never entered training.
    """

    task: str
    asked: str
    parameters: int
    cpu_seconds: float
    asked_count: int
    wrong: int
    held_out_asked: int
    held_out_wrong: int

    @property
    def exact(self) -> float:
        """Share of right answers."""
        return 1 - self.wrong / self.asked_count


def _fit(task, config: DecoderConfig, steps: float, seed: int, device: str, batch: int = 256) -> Run:
    """AdamW: warm-up, flat, linear decay over the last 40% of the steps."""
    steps = max(2, round(steps))
    plan = Optimisation(steps, batch=batch, lr=4e-3, schedule="flat", warmup=min(100, steps // 2))
    model = Decoder(config, seed=seed).to(device_named(device))
    return train(task, start_run(task, model, plan, seed), plan)


def _shape(task: WrittenTask | Multiplication, layers: int) -> DecoderConfig:
    return DecoderConfig(task.vocabulary, 64, layers, 4, 256, task.length)


def _row(name: str, asked: str, run: Run, total: int, wrong: int, apart: int, apart_wrong: int) -> Row:
    return Row(name, asked, run.model.parameter_count(), run.cpu_seconds, total, wrong, apart, apart_wrong)


def _scored(task: WrittenTask, run: Run, asked: str, ids: np.ndarray) -> Row:
    found = score(run.model, task, ids)
    return _row(task.name, asked, run, found.asked, found.wrong, found.held_out_asked, found.held_out_wrong)


def signed(seed: int, scale: float = 1.0, share: float = 1.0, device: str = "cpu") -> list[Row]:
    """Signed differences, directly and with a scratchpad (4,000 steps each); ``share`` of 1,000,000 are asked."""
    rows = []
    for scratchpad in (False, True):
        task = SignedDifference(scratchpad)
        run = _fit(task, _shape(task, 2), 4000 * scale, seed, device)
        ids = _some(task.space, share, seed)
        rows.append(_scored(task, run, "all ordered pairs" if share == 1 else "uniform pairs", ids))
    return rows


def division(seed: int, scale: float = 1.0, share: float = 1.0, device: str = "cpu") -> list[Row]:
    """Quotient and remainder, directly (4,000 steps) and with a scratchpad (3,000 of half the batch).

    ``share`` of 50,000 uniform pairs and of 20,000 pairs with a divisor below 100 are asked, apart: for most uniform
    pairs the quotient has one digit.
    """
    rows = []
    for scratchpad, steps, batch in ((False, 4000, 256), (True, 3000, 128)):
        task = Division(scratchpad)
        run = _fit(task, _shape(task, 3), steps * scale, seed, device, batch)
        rng = np.random.default_rng([seed, 3])
        uniform = rng.integers(0, task.space, round(50_000 * share))
        count = round(20_000 * share)
        small = rng.integers(0, 1000, count) * DIVISORS + rng.integers(1, 100, count) - 1
        rows.append(_scored(task, run, "uniform pairs", uniform))
        rows.append(_scored(task, run, "divisor below 100", small))
    return rows


def lengths(seed: int, scale: float = 1.0, share: float = 1.0, device: str = "cpu") -> list[Row]:
    """Sums of two numbers of 1 to 10 digits, after training on up to 3 and up to 5 (2,500 steps each).

    ``share`` of 2,000 sums a length are asked. A row of a length that was trained counts no problem as held out (the
    few short sums are all seen in training); beyond it every problem is.
    """
    rows = []
    for digits in (3, 5):
        task = LongSums(digits)
        run = _fit(task, task.decoder(), 2500 * scale, seed, device)
        count = round(2000 * share)
        for length, exact in exact_by_length(run.model, task, count, seed).items():
            wrong = round((1 - exact) * count)
            unseen = length > digits
            name = f"sums, trained to {digits} digits"
            rows.append(
                _row(name, f"{length} digit{'s' * (length > 1)}", run, count, wrong, count * unseen, wrong * unseen)
            )
    return rows


def oversampling(seed: int, scale: float = 1.0, share: float = 1.0, device: str = "cpu") -> list[Row]:
    """The main recipe cut to 600 steps with 0, 25 and 50% of every batch drawn from the hard cases."""
    recipe = RECIPES["main"].changed(steps=max(2, round(600 * scale)), warmup=max(1, min(100, round(100 * scale))))
    rows = []
    for hard_share in (0.0, 0.25, 0.5):
        task = Oversampled(FORMATS["reversed"], hard_share)
        model = Decoder(recipe.decoder(task), seed=seed).to(device_named(device))
        run = train(task, start_run(task, model, recipe.optimisation, seed), recipe.optimisation)
        found = evaluate(run.model, task.spelling, _some(SPACE, share, seed))
        name = f"sums and differences, {recipe.optimisation.steps} steps, {hard_share:.0%} hard cases"
        asked = "all problems" if share == 1 else "uniform problems"
        counts = (found.total, found.total_wrong, found.held_out_asked, found.held_out_wrong)
        rows.append(_row(name, asked, run, *counts))
    return rows


def products(seed: int, scale: float = 1.0, share: float = 1.0, device: str = "cpu") -> list[Row]:
    """Three digits times three, directly and with a scratchpad: one model, 6,400 steps of 192 problems each.

    ``share`` of the 1,000,000 products are asked.
    """
    rows = []
    for scratchpad in (False, True):
        task = Multiplication(3, 3, scratchpad)
        run = _fit(task, _shape(task, 2), 6400 * scale, seed, device, batch=192)
        ids = _some(task.size, share, seed)
        found = score(run.model, task, ids)
        name = "product of three digits" + ", scratchpad" * scratchpad
        asked = "all products" if share == 1 else "uniform products"
        rows.append(_row(name, asked, run, found.asked, found.wrong, found.held_out_asked, found.held_out_wrong))
    return rows


def _some(space: int, share: float, seed: int) -> np.ndarray:
    """All numbers below ``space``, or a sorted random share of them."""
    if share == 1:
        return np.arange(space)
    return np.sort(np.random.default_rng([seed, 4]).choice(space, max(1, round(space * share)), replace=False))


STUDIES: dict[str, Callable[..., list[Row]]] = {
    "signed": signed,
    "division": division,
    "lengths": lengths,
    "products": products,
    "oversampling": oversampling,
}
"""The studies by name."""
