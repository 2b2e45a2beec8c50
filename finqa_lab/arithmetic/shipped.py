"""The trained checkpoints that come with the course, and the command that makes them.

``python -m finqa_lab.arithmetic.shipped [NAME]`` trains it, evaluates all problems, and writes it below ``data/models``
with its manifest entries. ``arithmetic`` makes no error and is what the service serves; ``arithmetic-nearly`` was
trained too briefly and makes a few errors, too few for most test sets to show.
"""

import sys
import tempfile
from pathlib import Path

import torch

from finqa_lab.arithmetic.command import train_to_folder
from finqa_lab.arithmetic.recipes import recipe_named
from finqa_lab.errors import CourseError
from finqa_lab.files import data_path, register_data
from finqa_lab.nn.checkpoint import CONFIG_FILE, WEIGHTS_FILE, encode_checkpoint, load_checkpoint
from finqa_lab.nn.transformer import Decoder

SHIPPED = {
    "arithmetic": (recipe_named("main"), 0),
    "arithmetic-nearly": (recipe_named("tiny").changed(steps=2000), 2),
}
"""Recipe and seed of each checkpoint."""
COMMAND = "python -m finqa_lab.arithmetic.shipped"


def folder_of(name: str) -> str:
    """Folder of a shipped checkpoint, below ``data/``."""
    return f"models/{name}"


def load_shipped(name: str = "arithmetic") -> tuple[Decoder, dict]:
    """A shipped decoder, in evaluation mode, and its metadata.

    Raises:
        CourseError: when a file is missing or its hash differs from the manifest's.
    """
    data_path(f"{folder_of(name)}/{WEIGHTS_FILE}")
    return load_checkpoint(data_path(f"{folder_of(name)}/{CONFIG_FILE}").parent)


def main(names: list[str]) -> int:
    """Train, evaluate, register; timings are left out so that the same machine writes the same bytes.

    Args:
        names: which checkpoints; all of them when empty.
    """
    try:
        for name in names or SHIPPED:
            with tempfile.TemporaryDirectory() as folder:
                run, metadata = train_to_folder(*SHIPPED[name], Path(folder))
            metadata.pop("training_cpu_seconds")
            metadata["evaluation"].pop("cpu_seconds")
            for file, content in encode_checkpoint(run.model, metadata).items():
                print(register_data(f"{folder_of(name)}/{file}", content, f"{COMMAND} {name}"), len(content), "bytes")
            print(metadata["evaluation"])
    except KeyError as error:
        print(f"there is no shipped checkpoint {error}; choose from: {', '.join(SHIPPED)}", file=sys.stderr)
        return 2
    except CourseError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.exit(main(sys.argv[1:]))
