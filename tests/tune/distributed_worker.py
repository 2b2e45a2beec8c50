"""Started by torchrun with a folder, into which the ranks write what they found."""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

from finqa_lab.tune.distributed.quantized import try_storages
from finqa_lab.tune.distributed.ranks import Ranks, open_ranks
from tests.tune import distributed_scenarios as scenarios


def run_scenarios(ranks: Ranks, folder: Path) -> None:
    """Everything that needs two ranks, in one start of torchrun."""
    cases = {
        "ddp lora": ("ddp", "lora", {}),
        "fsdp lora": ("fsdp", "lora", {}),
        "ddp full": ("ddp", "full", {}),
        "fsdp full": ("fsdp", "full", {"save": folder / "from-two", "validate": True}),
        "ddp qlora": ("ddp", "qlora", {}),
        "fsdp qlora": ("fsdp", "qlora", {}),
        "ddp dropout": ("ddp", "lora", {"dropout": 0.3}),
        "fsdp dropout": ("fsdp", "lora", {"dropout": 0.3}),
        "fsdp recompute": ("fsdp", "full", {"recompute": True}),
        "fsdp bfloat16": ("fsdp", "full", {"gather": torch.bfloat16}),
        "fsdp resumed": ("fsdp", "full", {"resume": folder / "from-one", "validate": True}),
        "ddp resumed": ("ddp", "full", {"resume": folder / "from-one"}),
        "fsdp rank 1": ("fsdp", "lora", {"rank": 1, "save": folder / "thin-from-two"}),
    }
    found = {}
    for name, (strategy, method, more) in cases.items():
        facts = scenarios.run_it(ranks, strategy, method, **more)
        weights = facts.pop("weights")
        if ranks.first:
            save_file({key: value.contiguous() for key, value in weights.items()}, folder / f"{name}.safetensors")
        found[name] = facts
    found["validation"] = scenarios.validation_loss(ranks)
    found["codes"] = try_storages(ranks)
    found["diverged"] = scenarios.diverged(ranks)
    (folder / f"rank-{ranks.rank}.json").write_text(json.dumps(found))


def main() -> None:
    """Run everything on this rank."""
    torch.set_num_threads(1)
    with open_ranks() as ranks:
        run_scenarios(ranks, Path(sys.argv[1]))


if __name__ == "__main__":
    main()
