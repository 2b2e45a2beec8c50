"""The settings of a fine-tuning job, from a JSON file or the command line: one flat record, checked at once."""

import dataclasses
import types
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args, get_origin, get_type_hints

from finqa_lab.errors import CourseError
from finqa_lab.files import read_json

if TYPE_CHECKING:  # the command line reads these fields for its help, and torch takes seconds to import
    from finqa_lab.tune.lora import LoRAConfig
    from finqa_lab.tune.plan import Plan

Precision = Literal["float32", "bfloat16"]
ALL_TARGETS = ("query", "key", "value", "output", "gate", "up", "down")
"""The linear layers of a block."""


def _setting(default, text: str, result: bool = True):
    """A field with its help; ``result`` says whether it changes what is trained."""
    return field(default=default, metadata={"help": text, "result": result})


@dataclass(frozen=True)
class Settings:
    """What a job needs to know. Fields marked as not part of the result may differ when a job goes on.

    Raises:
        CourseError: naming the first setting that does not fit.
    """

    model: str = _setting("", "folder of the base model, in the Hugging Face layout", False)
    data: str = _setting("", "JSON lines of chat messages, a folder of them, or quantitative:program|number|reasoning",
                         False)  # fmt: skip
    out: str = _setting("", "folder for the adapter or model, the figures, and the state while it trains", False)
    validation: str = _setting("", "as --data; with quantitative:... its validation split is taken", False)
    method: Literal["lora", "full", "qlora"] = _setting("lora", "what is trained")
    start: str = _setting("", "folder of an adapter to begin with, whose rank and targets are then taken", False)
    rank: int = _setting(8, "of the adapter")
    alpha: float = _setting(16.0, "of the adapter")
    targets: tuple[str, ...] = _setting(ALL_TARGETS, "layers with an adapter, separated by commas")
    dropout: float = _setting(0.0, "of the adapter's inputs")
    rank_stabilised: bool = _setting(False, "divide alpha by the square root of the rank")
    lr: float = _setting(2e-4, "highest learning rate")
    schedule: Literal["cosine", "linear", "constant"] = _setting("cosine", "of the rate")
    floor: float = _setting(0.1, "last rate as a share of the highest")
    warmup: int = _setting(0, "steps over which the rate rises")
    epochs: float = _setting(1.0, "passes over the data")
    steps: int = _setting(0, "optimizer steps, instead of epochs")
    per_step: int = _setting(8, "samples a step, over all ranks")
    micro_batches: int = _setting(0, "parts that a step is cut into, a multiple of the ranks; 0: one a rank", False)
    weight_decay: float = _setting(0.0, "of matrices")
    clip: float = _setting(1.0, "largest norm of the gradient; 0 for none")
    precision: Precision = _setting("float32", "of the matrix products")
    base_dtype: Precision = _setting("float32", "of the frozen base; trained numbers are float32")
    layout: Literal["padded", "packed", "shared"] = _setting("packed", "how samples lie in rows", False)
    length: int = _setting(1024, "positions of a packed row", False)
    context: int = _setting(0, "longer samples are left out; 0: the model's own")
    order: Literal["shuffled", "grouped"] = _setting("shuffled", "of the samples")
    seed: int = _setting(0, "of order, adapter and dropout")
    evaluate_every: int = _setting(0, "steps between validations; 0: at the end only")
    patience: int = _setting(0, "validations without improvement that stop the training; 0: none do")
    save_every: int = _setting(50, "steps between checkpoints", False)
    state: str = _setting("", "folder of the checkpoint; default work/ in --out", False)
    strategy: Literal["ddp", "fsdp"] = _setting("ddp", "of several ranks", False)
    recompute: bool = _setting(False, "activation checkpointing: less memory, more computation", False)
    save_dtype: Precision = _setting("float32", "of a full model's written weights", False)
    device: Literal["cpu", "cuda"] = _setting("cpu", "to train on", False)
    threads: int = _setting(1, "of the CPU, for each rank", False)

    def __post_init__(self):
        for name in ("model", "data", "out"):
            if not getattr(self, name):
                raise CourseError(f"the setting '{name}' is missing; give --{name}, or name it in the config")
        for name, kind in get_type_hints(type(self)).items():
            _check(name, getattr(self, name), kind)
        if self.base_dtype == "bfloat16" and self.method == "full":
            raise CourseError("base_dtype bfloat16 is for a frozen base; train all of a model in float32")
        if self.patience and not (self.validation and self.evaluate_every):
            raise CourseError("patience needs validations to look at; set validation and evaluate_every too")
        if self.start and self.method == "full":
            raise CourseError("an adapter to start with goes with method lora or qlora; leave start out, or change it")

    @property
    def lora(self) -> "LoRAConfig":
        """The shape of the adapter."""
        from finqa_lab.tune.lora import LoRAConfig

        return LoRAConfig(self.rank, self.alpha, self.targets, self.dropout, self.rank_stabilised)

    @property
    def state_folder(self) -> Path:
        """Where the checkpoint is."""
        return Path(self.state) if self.state else Path(self.out) / "work"

    def plan(self, samples: int) -> "Plan":
        """The optimizer's plan for a number of samples."""
        from finqa_lab.tune.plan import Plan

        steps = self.steps or max(1, round(self.epochs * (samples // self.per_step)))
        return Plan(
            steps=steps,
            lr=self.lr,
            warmup=min(self.warmup, steps),
            schedule=self.schedule,
            floor=self.floor,
            weight_decay=self.weight_decay,
            clip=self.clip,
            precision=self.precision,
        )

    def result(self) -> dict:
        """The settings that change what is trained, JSON-ready: a state belongs to them."""
        names = [one.name for one in dataclasses.fields(self) if one.metadata["result"]]
        return {name: _plain(getattr(self, name)) for name in names}

    def describe(self) -> dict:
        """All settings, JSON-ready; :func:`settings_from` reads them back."""
        return {one.name: _plain(getattr(self, one.name)) for one in dataclasses.fields(self)}


def settings_from(values: dict, config: str | Path | None = None) -> Settings:
    """Settings from given values, and from a JSON file for what they leave out.

    >>> settings_from({"model": "base", "data": "quantitative:number", "out": "o", "targets": "query,value"}).targets
    ('query', 'value')

    Raises:
        CourseError: for a setting that does not exist, is missing, or does not fit.
    """
    known = {one.name for one in dataclasses.fields(Settings)}
    read = read_json(config, "the config of the job") if config else {}
    if not isinstance(read, dict):
        raise CourseError(f'{config} holds no JSON object with named settings; write {{"model": "..."}}')
    merged = {**read, **values}
    unknown = sorted(set(merged) - known)
    if unknown:
        raise CourseError(f"there is no setting '{unknown[0]}'; known are {', '.join(sorted(known))}")
    targets = merged.get("targets")
    if isinstance(targets, str):
        merged["targets"] = tuple(part.strip() for part in targets.split(",") if part.strip())
    elif isinstance(targets, list):
        merged["targets"] = tuple(targets)
    return Settings(**merged)


def _check(name: str, value, kind) -> None:
    if get_origin(kind) is Literal:
        if value not in get_args(kind):
            raise CourseError(f"{name} is {value!r}; choose one of {', '.join(get_args(kind))}")
    elif get_origin(kind) is tuple:
        if not value or not all(isinstance(part, str) for part in value):
            raise CourseError(f"{name} is {value!r}; give names of layers such as query, value")
    elif kind is bool or isinstance(value, bool) or kind is str:
        if not isinstance(value, kind) or isinstance(kind, types.UnionType):
            raise CourseError(f"{name} is {value!r}; it must be of the kind {kind.__name__}")
    elif not isinstance(value, int if kind is int else int | float) or not value >= (1 if name in _POSITIVE else 0):
        at_least = 1 if name in _POSITIVE else 0
        raise CourseError(f"{name} is {value!r}; it must be a number of at least {at_least}")


_POSITIVE = ("per_step", "rank", "length", "save_every", "threads")


def _plain(value):
    return list(value) if isinstance(value, tuple) else value
