"""What a few steps of a distributed training hold, send and take, written down by every rank::

    torchrun --nproc-per-node 2 -m finqa_lab.tune.distributed.probe ORDER.json

The order names a model folder (its weights do not matter), the cases, the steps to time, and a folder for the answers:
``rank-0.json``, ``rank-1.json``, ... A notebook starts it with :func:`finqa_lab.tune.distributed.launch.launch`; the
same cases can be measured in one process with :func:`probe`.
"""

import json
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from finqa_lab.files import read_json, write_atomic
from finqa_lab.nn.hub import load_pretrained
from finqa_lab.nn.transformer import Decoder
from finqa_lab.tune.batches import windows
from finqa_lab.tune.distributed.gather import held, held_floor
from finqa_lab.tune.distributed.quantized import try_storages
from finqa_lab.tune.distributed.ranks import Ranks, open_ranks
from finqa_lab.tune.distributed.strategies import Group
from finqa_lab.tune.distributed.volume import CountExchanges, Volume, ddp_volume, fsdp_volume
from finqa_lab.tune.lora import LoRAConfig, add_adapter
from finqa_lab.tune.plan import Plan
from finqa_lab.tune.training import start_run, train

LOOPBACK = Path("/proc/net/dev")
SMALLEST = 1024
"""Exchanges of fewer bytes are not counted, which leaves out sums of losses and norms."""


@dataclass(frozen=True)
class Order:
    """A kind of training.

    Attributes:
        strategy: ``ddp`` or ``fsdp``; of one rank it makes no difference.
        method: ``lora`` or ``full``.
        rows: windows of a micro-batch.
        length: tokens of a window.
        micro_batches: of a step, over all ranks.
        rank: of the adapter.
    """

    strategy: str
    method: str
    rows: int
    length: int = 128
    micro_batches: int = 2
    rank: int = 8

    @property
    def tokens(self) -> int:
        """Of a step, over all ranks."""
        return self.micro_batches * self.rows * self.length

    def prepare(self, model: Decoder) -> Decoder:
        """A model with what is to be trained."""
        if self.method == "full":
            return model.requires_grad_(True)
        add_adapter(model, LoRAConfig(rank=self.rank))
        return model


class Case:
    """A training under way, of which steps are measured one at a time, so that cases can take turns.

    Args:
        ranks: of the training.
        model: prepared, not sharded; this changes it.
        order: what is done.
    """

    def __init__(self, ranks: Ranks, model: Decoder, order: Order):
        self.ranks, self.order, own = ranks, order, order.micro_batches // ranks.ranks
        model.to(ranks.device)
        if ranks.ranks == 1:
            self.least = self.by_gloo = Volume(0.0, 0.0, 0)
        elif order.strategy == "ddp":
            self.least = self.by_gloo = ddp_volume(model, ranks.ranks)
        else:
            self.least, self.by_gloo = (fsdp_volume(model, ranks.ranks, own, gloo=gloo) for gloo in (False, True))
        self.group = Group(ranks, model, order.strategy)
        self.plan = Plan(steps=10_000, lr=1e-4, schedule="constant")
        self.run = start_run(model, self.plan)
        vocabulary = model.config.vocabulary
        stream = torch.randint(0, vocabulary, (20_000,), generator=torch.Generator().manual_seed(0))
        self.batches = windows(stream, order.length, order.rows, micro_batches=order.micro_batches)
        self.seconds: list[float] = []
        self.wire: list[float] = []
        with CountExchanges(smallest=SMALLEST) as counter:  # the step that is not timed
            self._step()
        self.counts = counter.counts

    def _step(self) -> None:
        train(self.run, self.plan, self.batches, until=self.run.step + 1, together=self.group)
        self.ranks.wait()

    def measure(self) -> None:
        """Time one step, and look at the loopback interface before and after it."""
        self.ranks.wait()
        before, began = loopback_bytes(), time.perf_counter()
        self._step()
        self.seconds.append(time.perf_counter() - began)
        self.wire.append((loopback_bytes() - before) / self.ranks.ranks)

    def row(self) -> dict:
        """What was found, JSON-ready.

        Seconds are the least of all steps, because others may use the machine; the median is beside it. Bytes on the
        wire are the median of the loopback interface's counter, shared out among the ranks: all traffic of the machine
        is in it, and 0 stands where there is no such counter.
        """
        module, n = self.run.model, self.ranks.ranks
        return {
            **asdict(self.order),
            "ranks": n,
            "tokens": self.order.tokens,
            "seconds": min(self.seconds),
            "median_seconds": statistics.median(self.seconds),
            "held": held(module),
            "numbers": sum(parameter.numel() for parameter in module.parameters()),
            "floor": asdict(held_floor(module, self.run.optimizer)),
            "predicted": self.least.total,
            "predicted_by_gloo": self.by_gloo.total,
            "predicted_exchanges": self.least.exchanges,
            "counted": self.counts.sent(n),
            "counted_exchanges": sum(self.counts.calls.values()),
            "wire": statistics.median(self.wire),
            "losses": self.run.losses,
        }


def probe(ranks: Ranks, folder: str | Path, orders: Sequence[Order], steps: int = 3) -> list[dict]:
    """Measure cases of a model, which take turns; every rank calls this and gets its own rows.

    Args:
        ranks: of the training.
        folder: of the model, in the Hugging Face layout.
        orders: the cases.
        steps: to be timed, behind one that is not.
    """
    cases = [Case(ranks, order.prepare(load_pretrained(folder).model), order) for order in orders]
    for _ in range(steps):
        for case in cases:
            case.measure()
    return [case.row() for case in cases]


def loopback_bytes() -> int:
    """Bytes sent over the loopback interface since the machine started, 0 where there is no such counter."""
    try:
        lines = LOOPBACK.read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split(":")[1].split()[8]) for line in lines if line.strip().startswith("lo:")), 0)


def write_order(
    path: Path, model: Path, orders: Sequence[Order], steps: int = 3, device: str = "cpu", codes: bool = False
) -> Path:
    """Write the file that this module reads as a script; the answers come into the file's folder.

    Args:
        path: of the file.
        model: folder.
        orders: the cases.
        steps: to be timed.
        device: of the ranks.
        codes: also try in which dtypes 4-bit codes can be sharded (``rank-N.json`` has them as ``codes``).
    """
    values = {"model": str(Path(model).resolve()), "steps": steps, "device": device, "codes": codes}
    return write_atomic(path, json.dumps({**values, "orders": [asdict(order) for order in orders]}) + "\n")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what the file in the first argument orders, as one of several ranks or alone."""
    path = Path((arguments or sys.argv[1:])[0])
    values = read_json(path, "the order of the probe")
    torch.set_num_threads(1)
    with open_ranks(values["device"]) as ranks:
        orders = [Order(**one) for one in values["orders"]]
        found = {"rows": probe(ranks, values["model"], orders, values["steps"])}
        if values["codes"]:
            found["codes"] = try_storages(ranks)
        write_atomic(path.parent / f"rank-{ranks.rank}.json", json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
