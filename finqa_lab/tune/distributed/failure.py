"""A job in which one rank is killed, to see what becomes of the others and of the work::

    torchrun --nproc-per-node 2 -m finqa_lab.tune.distributed.failure JOB.json STEP [RANK]

The process is killed as the system's out-of-memory killer does it: no exception, no clean-up, no last save.
"""

import os
import signal
import sys
from collections.abc import Sequence

from finqa_lab.tune.distributed.ranks import open_ranks
from finqa_lab.tune.job import fine_tune
from finqa_lab.tune.settings import settings_from


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the job of a config; behind the given step the given rank (default 1) kills itself."""
    config, step, victim = [*(arguments or sys.argv[1:]), "1"][:3]
    settings = settings_from({}, config)
    with open_ranks(settings.device) as ranks:

        def die(run) -> None:
            if run.step == int(step) and ranks.rank == int(victim):
                os.kill(os.getpid(), signal.SIGKILL)

        fine_tune(settings, ranks, on_step=die)


if __name__ == "__main__":
    main()
