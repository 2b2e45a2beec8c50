"""Started by torchrun: ``scenarios FOLDER`` writes what two ranks found; ``die CONFIG STEP`` kills rank 1 in a job."""

import json
import os
import signal
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

from finqa_lab.tune.distributed.ranks import Ranks, open_ranks
from finqa_lab.tune.job import fine_tune
from finqa_lab.tune.settings import settings_from
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
    found["codes"] = scenarios.stored_codes(ranks)
    found["diverged"] = scenarios.diverged(ranks)
    (folder / f"rank-{ranks.rank}.json").write_text(json.dumps(found))


def main() -> None:
    """Choose what to do."""
    torch.set_num_threads(1)
    kind, path = sys.argv[1], Path(sys.argv[2])
    with open_ranks() as ranks:
        if kind == "scenarios":
            run_scenarios(ranks, path)
            return

        def die(run) -> None:
            if run.step == int(sys.argv[3]) and ranks.rank == 1:
                os.kill(os.getpid(), signal.SIGKILL)

        fine_tune(settings_from({}, path), ranks, on_step=die)


if __name__ == "__main__":
    main()
