"""A moto server in a process of its own, on loopback, for as long as a block lasts."""

import contextlib
import importlib.util
import subprocess
import sys
import tempfile
from collections.abc import Iterator

from finqa_lab.cloud.images import sdk_environment
from finqa_lab.errors import CourseError

_SERVER = """
import logging, sys
from moto.moto_server.threaded_moto_server import ThreadedMotoServer
logging.getLogger("werkzeug").setLevel(logging.ERROR)
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()  # until the one who started it is gone
"""


@contextlib.contextmanager
def moto_server() -> Iterator[str]:
    """Address of a fresh server on a free port. It uses boto3 itself, so it gets no variable of the user's account.

    Raises:
        CourseError: when moto is not installed, or the server does not start.
    """
    if importlib.util.find_spec("moto") is None:
        raise CourseError("the offline stand-in needs moto: pip install 'moto[server]'")
    with tempfile.TemporaryFile("w+") as told:
        process = subprocess.Popen(
            [sys.executable, "-c", _SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=told, text=True,
            env=sdk_environment(),
        )  # fmt: skip
        try:
            port = process.stdout.readline().strip()
            if not port.isdigit():
                told.seek(0)
                raise CourseError(f"the offline stand-in did not start: {told.read().strip()[-200:]}")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()  # it has nothing to save
            process.communicate()
