"""The service's contract with a container, kept on this machine: a process, two routes, four limits.

From the developer guide ("Custom inference code with hosting services"): the container listens on one port; ``GET
/ping`` answers 200 within 2 seconds once the model is loaded, and has until the start-up limit to do so; ``POST
/invocations`` answers within 60 seconds; on stopping it gets SIGTERM, and SIGKILL 30 seconds later. The archive is
unpacked to a folder that the handler reads. Not shown here: the image, its GPU, its network, its user.
"""

import contextlib
import http.client
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from finqa_lab.cloud.errors import CloudError, ContainerExited, ContainerUnhealthy, InvokeTimeout
from finqa_lab.cloud.package import unpack
from finqa_lab.cloud.replies import raise_for_status

_HOST = Path(__file__).with_name("host.py")
_KEPT = ("PATH", "LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT", "OMP_NUM_THREADS", "LD_LIBRARY_PATH")
"""Of the environment; a container sees neither credentials nor tokens of the one who starts it."""


@dataclass(frozen=True)
class Limits:
    """What the service allows a container.

    Attributes:
        startup: seconds until the first 200 of ``/ping``. The guide once said 240; endpoints and inference components
            now take 60 to 3,600 as ``ContainerStartupHealthCheckTimeoutInSeconds``.
        ping: seconds for one ``/ping``.
        invoke: seconds for one ``/invocations``, from sending to the last byte.
        grace: seconds between SIGTERM and SIGKILL.
        body: bytes of a request; the service's model of ``InvokeEndpoint`` says 6 MiB.
    """

    startup: float = 240.0
    ping: float = 2.0
    invoke: float = 60.0
    grace: float = 30.0
    body: int = 6 * 1024 * 1024


SERVICE = Limits()
"""Those of the service."""


class Container:
    """A running container. :func:`run_container` makes and removes it."""

    def __init__(self, process: subprocess.Popen, log: Path, limits: Limits):
        self.process, self.limits, self._log = process, limits, log
        self.port: int | None = None
        self.started_s: float | None = None

    def log(self, lines: int = 20) -> str:
        """The last lines that the container wrote."""
        text = self._log.read_text(encoding="utf-8", errors="replace") if self._log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    def wait_healthy(self) -> None:
        """Wait for the first 200 of ``/ping``.

        Raises:
            ContainerExited: when the process ended; its last line is in the message.
            ContainerUnhealthy: when the start-up limit passed.
        """
        begin = time.monotonic()
        while (passed := time.monotonic() - begin) < self.limits.startup:
            self.must_run()
            if self.ping() and time.monotonic() - begin < self.limits.startup:
                self.started_s = time.monotonic() - begin
                return
            time.sleep(min(0.05, max(0.0, self.limits.startup - passed)))
        raise ContainerUnhealthy(
            f"the container did not answer /ping with 200 within {self.limits.startup:g} s of starting; its last line: "
            f"{self.log(1) or 'none'}"
        )

    def ping(self) -> bool:
        """Whether ``/ping`` answers 200 within its limit."""
        try:
            return self._exchange("GET", "/ping", None, {}, self.limits.ping)[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def invoke(self, body: bytes, content_type: str = "application/json", accept: str = "application/json") -> bytes:
        """Send one request; the bytes of the reply.

        Raises:
            InvokeTimeout: when the last byte did not come within the limit.
            MalformedRequest, StructureError, ModelFailed: what the container said.
            ContainerExited: when the process ended.
        """
        headers = {"Content-Type": content_type, "Accept": accept}
        try:
            status, payload = self._exchange("POST", "/invocations", body, headers, self.limits.invoke)
        except TimeoutError:
            raise InvokeTimeout(
                f"the container did not answer within {self.limits.invoke:g} s; lower max_tokens, or use an "
                "asynchronous endpoint"
            ) from None
        except (OSError, http.client.HTTPException) as error:
            self.must_run()
            raise ContainerUnhealthy(f"the container closed the connection: {type(error).__name__}") from None
        raise_for_status(status, payload)
        return payload

    def stop(self) -> bool:
        """SIGTERM, and SIGKILL when the grace has passed; True when the first was enough."""
        if self.process.poll() is not None:
            return True
        self.process.terminate()
        try:
            self.process.wait(self.limits.grace)
            return True
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return False

    def must_run(self) -> None:
        """Nothing while the process runs.

        Raises:
            ContainerExited: with its status and last line.
        """
        if (status := self.process.poll()) is not None:
            raise ContainerExited(f"the container ended with status {status}; its last line: {self.log(1) or 'none'}")

    def _exchange(self, method: str, path: str, body, headers: Mapping[str, str], seconds: float) -> tuple[int, bytes]:
        """One request with one limit for all of it; a socket's own timeout begins anew with every byte."""
        deadline = time.monotonic() + seconds
        connection = http.client.HTTPConnection("127.0.0.1", self._port(), timeout=seconds)
        try:
            connection.request(method, path, body, dict(headers))
            connection.sock.settimeout(_left(deadline))
            response = connection.getresponse()
            pieces = []
            while True:
                if connection.sock is not None:
                    connection.sock.settimeout(_left(deadline))
                piece = response.read1(65536)
                if not piece:
                    return response.status, b"".join(pieces)
                pieces.append(piece)
        finally:
            connection.close()

    def _port(self) -> int:
        """The port, from the first line that the host writes."""
        if self.port is None:
            first = self._log.read_text(encoding="utf-8", errors="replace").partition("\n")
            if not first[1] or not first[0].startswith("{"):
                raise ConnectionRefusedError("the container does not listen yet")
            self.port = int(json.loads(first[0])["port"])
        return self.port


@contextlib.contextmanager
def run_container(
    archive: str | os.PathLike,
    limits: Limits = SERVICE,
    environment: Mapping[str, str] | None = None,
    sha256: str | None = None,
) -> Iterator[Container]:
    """Unpack an archive, start its handler, wait until it is healthy; stop it and remove the folder at the end.

    Args:
        archive: ``model.tar.gz``.
        limits: of the contract.
        environment: variables for the container, as of ``create_model``.
        sha256: that the archive must have.

    Raises:
        InvalidPackage: when the archive is not sound.
        ContainerExited, ContainerUnhealthy: when it does not come up.
    """
    with tempfile.TemporaryDirectory(prefix="finqa-lab-container-") as folder:
        model_dir = unpack(archive, Path(folder) / "model", sha256)
        log = Path(folder) / "container.log"
        container = start_host(model_dir, log, limits, environment)
        try:
            container.wait_healthy()
            yield container
        finally:
            container.stop()


def start_host(
    model_dir: Path, log: Path, limits: Limits = SERVICE, environment: Mapping[str, str] | None = None
) -> Container:
    """Start the process over a folder that was unpacked; it is not healthy yet."""
    variables = {name: os.environ[name] for name in _KEPT if name in os.environ} | dict(environment or {})
    variables |= {
        "PYTHONPATH": str(model_dir / "code"),  # the archive's own library, not this one
        "PYTHONUNBUFFERED": "1",
        "SM_MODEL_DIR": str(model_dir),
        "HF_HUB_OFFLINE": "1",
    }
    command = [sys.executable, "-P", str(_HOST), "--model-dir", str(model_dir), "--port", "0"]
    command += ["--body-limit", str(limits.body)]
    with open(log, "wb") as stream:
        try:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, env=variables, cwd=model_dir,
                start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            raise CloudError(f"the container cannot be started: {error.strerror or error}") from None
    return Container(process, log, limits)


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("the limit has passed")
    return left
