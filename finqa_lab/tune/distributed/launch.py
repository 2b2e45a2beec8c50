"""Start a script on several ranks of this machine from a notebook or a test: ``torchrun``, and what became of it."""

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from finqa_lab.errors import CourseError
from finqa_lab.files import REPOSITORY
from finqa_lab.tune.distributed.ranks import VARIABLES

_FAILED = re.compile(r"rank +: (\d+).*\n +exitcode +: (-?\d+)")


@dataclass(frozen=True)
class Outcome:
    """How the processes ended.

    Attributes:
        code: exit status of torchrun, 0 when all ranks succeeded.
        output: what they printed, and torchrun's report where one failed.
    """

    code: int
    output: str

    @property
    def failed(self) -> dict[int, int]:
        """Exit status by rank of those that torchrun's report names; -9 was killed, -15 was stopped by torchrun."""
        return {int(rank): int(code) for rank, code in _FAILED.findall(self.output)}


def launch(arguments: Sequence[str], ranks: int = 2, threads: int = 1, minutes: float = 10) -> Outcome:
    """Run ``torchrun --nproc-per-node RANKS ARGUMENTS...`` and wait.

    Args:
        arguments: a script with its arguments, or ``-m`` and a module: ``["-m", "finqa_lab.cli", "train", ...]``.
        ranks: processes.
        threads: of each; more ranks times threads than cores slow each other down.
        minutes: after which all are stopped.

    Raises:
        CourseError: when they take longer.
    """
    # Without --standalone torchrun takes port 29500, and a second training on the machine would join the first.
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks)]
    environment = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    paths = [str(REPOSITORY), *filter(None, [environment.get("PYTHONPATH")])]
    environment |= {"OMP_NUM_THREADS": str(threads), "PYTHONPATH": os.pathsep.join(paths)}
    process = subprocess.Popen(
        [*command, *arguments], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        output, _ = process.communicate(timeout=minutes * 60)
    except subprocess.TimeoutExpired:
        raise CourseError(f"{ranks} ranks did not end within {minutes:g} minutes and were stopped") from None
    finally:
        if process.poll() is None:
            process.terminate()  # torchrun ends its ranks
            process.communicate()
    return Outcome(process.returncode, output)
