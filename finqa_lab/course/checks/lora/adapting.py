"""Checks of lab 06: the scale, the two thin matrices, and a linear layer with adapters by name."""

import math
import random
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import nn

from finqa_lab.course.checking import Case, Check, WrongAnswer, register


def scale_cases(rng: random.Random) -> Iterator[Case]:
    """Alpha, rank, and whether the scale is rank-stabilised."""
    yield Case(16.0, 16, False)
    yield Case(32.0, 16, False)
    yield Case(16.0, 16, True)
    for _ in range(3):
        yield Case(float(rng.randrange(8, 65)), rng.choice([2, 4, 8, 32]), rng.random() < 0.5)
    yield Case(8.0, 4, True)


def _scale(alpha: float, rank: int, rank_stabilised: bool) -> float:
    return alpha / (math.sqrt(rank) if rank_stabilised else rank)


register(
    Check(
        name="lora.scale",
        task="alpha / r, or alpha / sqrt(r) where the scale is rank-stabilised",
        cases=scale_cases,
        oracle=_scale,
        why="with the wrong scale an adapter trained elsewhere loads without an error and answers something else.",
        hint="one division; the root only where rank_stabilised is true.",
        wrong=[
            WrongAnswer(
                "never the root",
                lambda alpha, rank, stabilised: alpha / rank,
                "where rank_stabilised is true, alpha is divided by the square root of the rank.",
            ),
            WrongAnswer(
                "always the root",
                lambda alpha, rank, stabilised: alpha / math.sqrt(rank),
                "the plain scale divides alpha by the rank itself.",
            ),
            WrongAnswer(
                "root of the whole",
                lambda alpha, rank, stabilised: math.sqrt(alpha / rank) if stabilised else alpha / rank,
                "the root is of the rank only: alpha / sqrt(r).",
            ),
            WrongAnswer(
                "upside down",
                lambda alpha, rank, stabilised: 1 / _scale(alpha, rank, stabilised),
                "alpha is the numerator: a larger alpha makes a larger update.",
            ),
        ],
    )
)


class _LowRank(nn.Module):
    """The right answer; the keywords of :func:`_low_rank` make the wrong ones."""

    start, forward_scaled, matrix_scaled, swapped, stabilise = "zero", True, True, False, True

    def __init__(self, in_width, out_width, rank, alpha, rank_stabilised=False, seed=0):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        bound = 1 / math.sqrt(in_width)
        drawn = torch.empty(rank, in_width).uniform_(-bound, bound, generator=generator)
        zeros = torch.zeros(out_width, rank)
        if self.start == "both drawn":
            zeros = zeros.uniform_(-bound, bound, generator=generator)
        if self.start == "both zero":
            drawn = torch.zeros_like(drawn)
        if self.start == "wide":
            drawn = torch.randn(rank, in_width, generator=generator)
        self.a, self.b = nn.Parameter(drawn), nn.Parameter(zeros)
        self.scale = _scale(alpha, rank, rank_stabilised and self.stabilise)

    def forward(self, x):
        return F.linear(F.linear(x, self.a), self.b) * (self.scale if self.forward_scaled else 1)

    def matrix(self):
        found = self.b @ self.a * (self.scale if self.matrix_scaled else 1)
        return found.T if self.swapped else found


def _low_rank(**changes) -> type:
    return type("LowRank", (_LowRank,), changes)


def _filled(*shape: int, low: float = -1.0, high: float = 1.0) -> torch.Tensor:
    """The same numbers for everybody, of no symmetry."""
    count = math.prod(shape)
    return torch.sin(torch.linspace(low, high, count) * 7 + torch.arange(count)).reshape(shape)


def _spread(largest: float, bound: float) -> str:
    """How widely A was drawn, in words: its numbers are the generator's own affair."""
    if largest == 0:
        return "zero"
    return "drawn within 1 / sqrt(in)" if largest <= bound + 1e-6 else "drawn beyond 1 / sqrt(in)"


def _use_low_rank(make, in_width: int, out_width: int, rank: int, alpha: float, rank_stabilised: bool) -> dict:
    """What a pair of matrices is at first, and what it computes when both hold numbers."""
    module = make(in_width, out_width, rank, alpha, rank_stabilised, seed=3)
    x, bound = _filled(2, in_width), 1 / math.sqrt(in_width)
    found = {
        "shapes of a and b": [list(module.a.shape), list(module.b.shape)],
        "trained numbers": sum(p.numel() for p in module.parameters() if p.requires_grad),
        "output at first": module(x).detach(),
        "a at first": _spread(float(module.a.detach().abs().max()), bound),
    }
    with torch.no_grad():
        module.a.copy_(_filled(*module.a.shape))
        module.b.copy_(_filled(*module.b.shape, high=2.0))
    return found | {"output": module(x).detach(), "matrix": module.matrix().detach()}


def low_rank_cases(rng: random.Random) -> Iterator[Case]:
    """Width in, width out, rank, alpha, and whether the scale is rank-stabilised."""
    yield Case(8, 6, 2, 4.0, False)
    yield Case(8, 8, 4, 8.0, True, note="a square matrix, rank-stabilised")
    for _ in range(3):
        yield Case(rng.randrange(16, 24), rng.randrange(5, 12), rng.choice([2, 3, 4]), 16.0, rng.random() < 0.5)


register(
    Check(
        name="lora.low_rank",
        task="A drawn, B zero, and what they add to the output: scale * (x A^T) B^T",
        cases=low_rank_cases,
        oracle=lambda *case: _use_low_rank(_LowRank, *case),
        call=_use_low_rank,
        why="these few lines are the whole of LoRA; the rest is bookkeeping.",
        hint="a is (rank, in), b is (out, rank); forward and matrix both carry the scale.",
        wrong=[
            WrongAnswer(
                "both drawn",
                _low_rank(start="both drawn"),
                "B starts at zero, so that training begins at the base model and not beside it.",
            ),
            WrongAnswer(
                "both zero",
                _low_rank(start="both zero"),
                "with A and B both zero, both gradients are zero as well: nothing would ever be learnt.",
            ),
            WrongAnswer(
                "too wide a start",
                _low_rank(start="wide"),
                "A is drawn uniformly from -1 / sqrt(in) to 1 / sqrt(in), as torch draws a linear layer's weight.",
            ),
            WrongAnswer(
                "scale left out of the output",
                _low_rank(forward_scaled=False),
                "the output is multiplied by the scale.",
            ),
            WrongAnswer(
                "scale left out of the matrix",
                _low_rank(matrix_scaled=False),
                "the matrix has the scale, too: merged and unmerged must compute the same.",
            ),
            WrongAnswer(
                "matrix transposed",
                _low_rank(swapped=True),
                "a linear layer's weight is (out, in): B times A, in this order.",
            ),
            WrongAnswer(
                "rank_stabilised ignored",
                _low_rank(stabilise=False),
                "with rank_stabilised the scale is alpha / sqrt(rank): pass it on.",
            ),
        ],
    )
)


class _Adapted(nn.Module):
    """The right answer; the class attributes of :func:`_adapted` make the wrong ones."""

    frozen, sums, with_base, doubled, back = True, False, True, False, "kept"

    def __init__(self, base):
        super().__init__()
        self.base = base.requires_grad_(not self.frozen)
        self.adapters, self.active, self.kept = nn.ModuleDict(), None, None

    def add(self, name, low_rank):
        self.adapters[name] = low_rank
        self.active = name

    def forward(self, x):
        y = self.base(x)
        if self.active is None or (self.kept is not None and not self.doubled):
            return y
        parts = self.adapters.values() if self.sums else [self.adapters[self.active]]
        update = sum(part(x) for part in parts)
        return y + update if self.with_base else update

    def merge(self):
        with torch.no_grad():
            self.kept = self.base.weight.clone()
            self.base.weight += self.adapters[self.active].matrix()

    def unmerge(self):
        with torch.no_grad():
            if self.back == "kept":
                self.base.weight.copy_(self.kept)
            elif self.back == "subtracted":
                self.base.weight -= self.adapters[self.active].matrix()
        self.kept = None


def _adapted(**changes) -> type:
    return type("Adapted", (_Adapted,), changes)


def _thin(seed: int, rank: int, base: nn.Linear) -> _LowRank:
    module = _LowRank(base.in_features, base.out_features, rank, 3.0)
    with torch.no_grad():
        module.a.copy_(_filled(*module.a.shape, high=seed + 0.3))
        module.b.copy_(_filled(*module.b.shape, high=seed + 0.7))
    return module


def _use_adapted(make, in_width: int, out_width: int) -> dict:
    """A layer with two adapters, swapped, switched off, merged and unmerged."""
    base = nn.Linear(in_width, out_width, bias=False)
    with torch.no_grad():
        base.weight.copy_(_filled(out_width, in_width, high=5.1) / 3)
    before, x = base.weight.detach().clone(), _filled(2, in_width, high=1.7)
    layer = make(base)
    found = {"the base is frozen": not layer.base.weight.requires_grad, "no adapter": layer(x).detach()}
    layer.add("one", _thin(1, 2, base))
    found["adapter one"] = layer(x).detach()
    layer.add("two", _thin(2, 3, base))
    found["adapter two"] = layer(x).detach()
    layer.active = "one"
    found["one again"] = layer(x).detach()
    layer.merge()
    found |= {"merged weight": layer.base.weight.detach().clone(), "merged output": layer(x).detach()}
    layer.unmerge()
    found["the weight is back, bit for bit"] = bool(torch.equal(layer.base.weight.detach(), before))
    found["unmerged output"] = layer(x).detach()
    layer.active = None
    return found | {"switched off": layer(x).detach()}


def adapted_cases(rng: random.Random) -> Iterator[Case]:
    """Width in and width out."""
    yield Case(6, 5)
    yield Case(16, 12)
    yield Case(rng.randrange(8, 30), rng.randrange(8, 30))


register(
    Check(
        name="lora.adapted",
        task="a frozen layer with adapters by name: one is active, merged and unmerged without a trace",
        cases=adapted_cases,
        oracle=lambda *case: _use_adapted(_Adapted, *case),
        call=_use_adapted,
        why="one base in memory and many tasks on it is what makes adapters cheap to serve.",
        hint="keep the weight before you merge; while it is merged, forward is the base's alone.",
        wrong=[
            WrongAnswer(
                "base not frozen",
                _adapted(frozen=False),
                "freeze the base: base.requires_grad_(False); its gradients and moments are what LoRA saves.",
            ),
            WrongAnswer(
                "all adapters at once",
                _adapted(sums=True),
                "only the active adapter adds to the output; the others wait.",
            ),
            WrongAnswer(
                "base left out",
                _adapted(with_base=False),
                "the adapter is added to what the base computes: it does not replace it.",
            ),
            WrongAnswer(
                "counted twice when merged",
                _adapted(doubled=True),
                "while an adapter is merged it is in the weight: adding it again in forward counts it twice.",
            ),
            WrongAnswer(
                "subtracted to unmerge",
                _adapted(back="subtracted"),
                "(w + d) - d is not w in floating point: keep a copy of the weight and put it back.",
            ),
            WrongAnswer(
                "not unmerged",
                _adapted(back="not at all"),
                "unmerge puts the base weight back; without that the next adapter is added to a changed base.",
            ),
        ],
    )
)
