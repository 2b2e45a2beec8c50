"""The trained checkpoint that comes with the course, and the command that makes it.

``python -m finqa_lab.arithmetic.shipped`` trains the recipe ``main`` with seed 0, evaluates all problems, and writes
``data/models/arithmetic`` with its manifest entries.
"""

import sys
import tempfile
from pathlib import Path

from finqa_lab.arithmetic.command import train_to_folder
from finqa_lab.arithmetic.recipes import recipe_named
from finqa_lab.errors import CourseError
from finqa_lab.files import data_path, register_data
from finqa_lab.nn.checkpoint import CONFIG_FILE, WEIGHTS_FILE, encode_checkpoint, load_checkpoint
from finqa_lab.nn.transformer import Decoder

FOLDER = "models/arithmetic"  # below data/
COMMAND = "python -m finqa_lab.arithmetic.shipped"


def load_shipped() -> tuple[Decoder, dict]:
    """The shipped decoder, in evaluation mode, and its metadata.

    Raises:
        CourseError: when a file is missing or its hash differs from the manifest's.
    """
    data_path(f"{FOLDER}/{WEIGHTS_FILE}")
    return load_checkpoint(data_path(f"{FOLDER}/{CONFIG_FILE}").parent)


def main() -> int:
    """Train, evaluate, register; timings are left out so that the same machine writes the same bytes."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            run, metadata = train_to_folder(recipe_named("main"), 0, Path(folder))
            metadata.pop("training_cpu_seconds")
            metadata["evaluation"].pop("cpu_seconds")
            for name, content in encode_checkpoint(run.model, metadata).items():
                print(register_data(f"{FOLDER}/{name}", content, COMMAND), len(content), "bytes")
        except CourseError as error:
            print(error, file=sys.stderr)
            return 2
    print(metadata["evaluation"])
    return 0


if __name__ == "__main__":
    sys.exit(main())
