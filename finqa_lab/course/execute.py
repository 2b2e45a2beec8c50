"""Execute one notebook in a process of its own: ``python -m finqa_lab.course.execute JOB.json``.

The runner starts one such process per lab, reads its progress as JSON lines, and can kill it without touching the
other labs. Inside: papermill with one fresh kernel, over ipc sockets where the system has them (two kernels that
start at the same time can otherwise race for the same TCP port).
"""

import json
import os
import re
import sys
import tempfile
from pathlib import Path

EVENT = "@@finqa-lab "  # marks an event line among whatever a library prints
_ANSI = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


def emit(**event) -> None:
    """Write one event line for the runner."""
    print(EVENT + json.dumps(event), flush=True, file=sys.__stdout__)


def main(job_file: str) -> int:
    """Run the job (``source``, ``target``, ``parameters``, ``cell_timeout``); 0 when all cells ran."""
    job = json.loads(Path(job_file).read_text(encoding="utf-8"))
    # Sockets in a folder of our own with a short name: a socket path may not exceed about 100 characters.
    with tempfile.TemporaryDirectory(prefix="fl-", ignore_cleanup_errors=True) as runtime:
        os.environ["JUPYTER_RUNTIME_DIR"] = runtime
        return _execute(job)


def _execute(job: dict) -> int:
    import papermill
    from jupyter_client.manager import AsyncKernelManager
    from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from papermill.engines import NBClientEngine, papermill_engines
    from papermill.exceptions import PapermillExecutionError

    class ProgressEngine(NBClientEngine):
        """papermill's own engine, saying which cell it is at."""

        @classmethod
        def execute_managed_notebook(cls, nb_man, kernel_name, **options):
            start, total = nb_man.cell_start, len(nb_man.nb.cells)

            def cell_start(cell, cell_index, **kw):
                emit(event="cell", index=cell_index, total=total, id=cell.get("id", ""), source=cell.source)
                return start(cell, cell_index, **kw)

            nb_man.cell_start = cell_start
            return super().execute_managed_notebook(nb_man, kernel_name, **options)

    class IpcKernelManager(AsyncKernelManager):
        """Talks to its kernel over Unix sockets.

        The prefix of the socket files is set here: the default is a fixed name in the working directory, which two
        kernels started at the same time would share.
        """

        def __init__(self, **options):
            super().__init__(transport="ipc", ip=os.path.join(os.environ["JUPYTER_RUNTIME_DIR"], "k"), **options)

    papermill_engines.register("finqa-lab", ProgressEngine)
    options = {} if os.name == "nt" else {"kernel_manager_class": IpcKernelManager}
    try:
        papermill.execute_notebook(
            job["source"],
            job["target"],
            parameters=job["parameters"],
            engine_name="finqa-lab",
            progress_bar=False,
            log_output=False,
            kernel_name="python3",
            cwd=job["cwd"],
            execution_timeout=job["cell_timeout"],
            start_timeout=120,
            **options,
        )
    except PapermillExecutionError as error:
        emit(
            event="failed", kind="error", detail=_ANSI.sub("", "\n".join(error.traceback) or f"{error.ename}: {error}")
        )
        return 1
    except CellTimeoutError as error:
        emit(event="failed", kind="cell timeout", detail=str(error).strip().splitlines()[0])
        return 1
    except DeadKernelError:
        emit(event="failed", kind="kernel died", detail="the kernel process ended while it executed this cell")
        return 1
    except OSError as error:
        emit(event="failed", kind="cannot write", detail=f"{job['target']}: {error.strerror or error}")
        return 1
    emit(event="done")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
