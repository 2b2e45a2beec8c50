"""The data set: 900 samples to train on, 300 with unseen parameters, 300 with unseen parameters in unseen phrasings.

Every split has the six tasks in equal shares, and every task its three difficulties and its families of phrasings as
evenly as whole numbers allow. One family of every task is held out: it occurs in the third split only. No parameter set
and no question is in a split twice or in two splits; names of strategies and assets are shared by all.

``python -m finqa_lab.quantitative.dataset`` prints a card and writes nothing.
"""

import argparse
import random
from collections.abc import Sequence
from dataclasses import dataclass

from finqa_lab.errors import CourseError
from finqa_lab.quantitative import compounding, drawdown, ranking, sharpe, sizing, volatility
from finqa_lab.quantitative.task import FAMILIES, Parameters, Sample, Task, key, make

TASKS: dict[str, Task] = {
    module.TASK.name: module.TASK for module in (compounding, drawdown, sharpe, volatility, sizing, ranking)
}
"""The six tasks by name."""
NUMERIC = tuple(name for name, task in TASKS.items() if task.unit != "name")
"""Tasks whose answer is a number."""
HELD_OUT = {
    "compounding": "memo",
    "drawdown": "story",
    "sharpe": "order",
    "volatility": "sheet",
    "sizing": "question",
    "ranking": "memo",
}
"""The family of each task that no training or validation question uses."""
SIZES = {"train": 900, "validation": 300, "phrasing": 300}
"""Samples of the splits."""


@dataclass(frozen=True)
class Splits:
    """The three parts of the data set.

    Attributes:
        train: for training.
        validation: parameters unseen in training, phrasings of the same families.
        phrasing: parameters unseen in training, and the family of phrasings that training does not have.
    """

    train: tuple[Sample, ...]
    validation: tuple[Sample, ...]
    phrasing: tuple[Sample, ...]

    def named(self) -> dict[str, tuple[Sample, ...]]:
        """Splits by name."""
        return {"train": self.train, "validation": self.validation, "phrasing": self.phrasing}


def dataset(seed: int = 0, sizes: dict[str, int] | None = None) -> Splits:
    """Build the data set; the same seed gives the same samples in the same order.

    Args:
        seed: of parameters, phrasings, spellings and order.
        sizes: samples of ``train``, ``validation`` and ``phrasing``, each a multiple of the number of tasks.

    Raises:
        CourseError: when a size is no such multiple.
    """
    sizes = SIZES if sizes is None else sizes
    for name in SIZES:
        if sizes.get(name, -1) < 0 or sizes[name] % len(TASKS):
            raise CourseError(f"split '{name}' cannot have {sizes.get(name)} samples; give a multiple of {len(TASKS)}")
    parts: dict[str, list[Sample]] = {name: [] for name in SIZES}
    for task in TASKS.values():
        seen: set[tuple] = set()
        for split in SIZES:
            for index in range(sizes[split] // len(TASKS)):
                parts[split].append(_sample(task, split, index, seed, seen))
    for split, samples in parts.items():
        random.Random(f"{seed} {split}").shuffle(samples)
    return Splits(**{split: tuple(samples) for split, samples in parts.items()})


def families(task: str, split: str) -> tuple[str, ...]:
    """Families of phrasings that a task has in a split."""
    held_out = HELD_OUT[task]
    return (held_out,) if split == "phrasing" else tuple(family for family in FAMILIES if family != held_out)


def _sample(task: Task, split: str, index: int, seed: int, seen: set[tuple]) -> Sample:
    """The sample at a place of a split; difficulties take turns, and families behind them."""
    difficulty = 1 + index % 3
    choices = families(task.name, split)
    identity = f"{split}-{task.name}-{index:03d}"
    parameters = _unseen(task, difficulty, f"{seed} {identity}", seen)
    return make(task, identity, parameters, choices[index // 3 % len(choices)], difficulty, f"{seed} {identity} words")


def _unseen(task: Task, difficulty: int, seed: str, seen: set[tuple]) -> Parameters:
    rng = random.Random(seed)
    for _ in range(10_000):
        parameters = task.draw(rng, difficulty)
        if key(parameters) not in seen:
            seen.add(key(parameters))
            return parameters
    raise CourseError(
        f"the task {task.name} has too few parameter sets of difficulty {difficulty}; ask for fewer samples"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the card."""
    from finqa_lab.quantitative.card import card  # it imports this module

    parser = argparse.ArgumentParser(description="Print a card of the synthetic data set; nothing is written.")
    parser.add_argument("--seed", type=int, default=0)
    seed = parser.parse_args(arguments).seed
    print(card(dataset(seed), f"Quantitative questions, seed {seed}"))


if __name__ == "__main__":
    main()
