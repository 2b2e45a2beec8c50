"""The contract of a container, held with a handler that has no model."""

import http.client
import json
import threading
import time

import pytest

from finqa_lab.cloud.container import Container, Limits, run_container
from finqa_lab.cloud.errors import (
    ContainerExited,
    ContainerUnhealthy,
    InvokeTimeout,
    MalformedRequest,
    ModelFailed,
    StructureError,
)
from tests.cloud.toys import HANDLER, QUICK, write_archive


def body(text: str = "2?") -> bytes:
    return json.dumps({"messages": [{"role": "user", "content": text}]}).encode()


@pytest.fixture(scope="module")
def container(tmp_path_factory):
    with run_container(write_archive(tmp_path_factory.mktemp("toy") / "model.tar.gz"), QUICK) as running:
        yield running


def ask(container: Container, method: str, path: str, content=None, headers=None) -> tuple[int, dict]:
    connection = http.client.HTTPConnection("127.0.0.1", container.port, timeout=5)
    try:
        connection.request(method, path, content, headers or {})
        response = connection.getresponse()
        return response.status, json.loads(response.read() or b"{}")
    finally:
        connection.close()


def test_it_is_healthy_and_answers(container):
    assert container.ping() and container.started_s < QUICK.startup
    assert json.loads(container.invoke(body())) == {"answer": 1}


def test_the_handler_of_the_archive_is_the_one_that_runs(container):
    assert json.loads(container.log().splitlines()[-1])["handler"].endswith("/model/code/inference.py")


def test_refusals_are_typed_and_a_fault_shows_no_detail(container):
    with pytest.raises(MalformedRequest, match="answered 400: the body is not JSON"):
        container.invoke(b"{")
    with pytest.raises(StructureError, match="answered 422: the reply has no answer"):
        container.invoke(body("no answer"))
    with pytest.raises(ModelFailed, match="answered 500: the handler failed with RuntimeError") as failed:
        container.invoke(body("fail"))
    assert "secret detail" not in str(failed.value)


def test_routes_and_bodies_outside_the_contract_are_refused(container):
    assert ask(container, "GET", "/invocations")[0] == ask(container, "POST", "/ping", b"{}")[0] == 404
    assert ask(container, "POST", "/invocations", b"{}", {"Content-Length": "-1"})[0] == 411
    assert ask(container, "POST", "/invocations", b"{}", {"Content-Length": str(QUICK.body + 1)})[0] == 413
    assert container.ping()


def test_an_answer_that_takes_too_long_is_given_up_and_ping_goes_on(tmp_path):
    with run_container(write_archive(tmp_path / "model.tar.gz"), QUICK) as running:
        with pytest.raises(InvokeTimeout, match="did not answer within 1.5 s"):
            running.invoke(body("sleep 30"))
        assert running.ping()  # health is not blocked by a prediction


def test_a_reply_that_trickles_counts_as_a_whole(tmp_path):
    """A socket's own timeout begins anew with every byte; the limit must not."""
    import socket

    listener = socket.create_server(("127.0.0.1", 0))
    sent = []

    def trickle():
        connection, _ = listener.accept()
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        try:
            for _ in range(100):
                connection.sendall(b"x")
                sent.append(1)
                time.sleep(0.05)
        except OSError:
            pass

    threading.Thread(target=trickle, daemon=True).start()
    slow = Container(type("Process", (), {"poll": lambda self: None})(), tmp_path / "log", Limits(invoke=0.4))
    slow.port = listener.getsockname()[1]
    with pytest.raises(InvokeTimeout):
        slow.invoke(body())
    assert 0 < len(sent) < 100  # each byte came in time, and the whole did not
    listener.close()


def test_a_container_that_never_answers_ping_is_an_error_with_its_last_line(tmp_path):
    loading = HANDLER.replace('return {"model_dir": model_dir}', 'print("still reading", flush=True); time.sleep(60)')
    archive = write_archive(tmp_path / "model.tar.gz", loading)
    with pytest.raises(ContainerUnhealthy, match="/ping with 200 within 4 s .*still reading"):
        with run_container(archive, Limits(startup=4.0, ping=0.3, grace=1.0)):
            pytest.fail("it is not healthy")


def test_a_handler_that_fails_to_load_ends_the_container(tmp_path):
    archive = write_archive(tmp_path / "model.tar.gz", "raise ValueError('no such weights')")
    with pytest.raises(ContainerExited, match="status 1; its last line: ValueError: no such weights"):
        with run_container(archive, QUICK):
            pytest.fail("it did not load")


def test_sigterm_lets_the_request_in_hand_finish(tmp_path):
    says = HANDLER.replace("time.sleep(float", 'print("in hand", flush=True); time.sleep(float')
    limits = Limits(startup=60, invoke=30, grace=30)
    with run_container(write_archive(tmp_path / "model.tar.gz", says), limits) as running:
        got = []
        asking = threading.Thread(target=lambda: got.append(running.invoke(body("sleep 0.6"))))
        asking.start()
        while "in hand" not in running.log():
            time.sleep(0.02)
        assert running.stop() is True and running.process.returncode == 0
        asking.join(30)
        assert json.loads(got[0]) == {"answer": 1}


def test_sigkill_comes_when_the_grace_has_passed(tmp_path):
    deaf = "import signal; signal.signal = lambda *a: None\n" + HANDLER.replace(
        'return {"model_dir": model_dir}', "import _signal; _signal.signal(_signal.SIGTERM, _signal.SIG_IGN)"
    )
    with run_container(write_archive(tmp_path / "model.tar.gz", deaf), Limits(startup=60, grace=0.3)) as running:
        assert running.stop() is False and running.process.returncode == -9
        with pytest.raises(ContainerExited, match="status -9"):
            running.invoke(body())


def test_a_container_sees_no_credentials_of_the_one_who_starts_it(tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY00")
    monkeypatch.setenv("HF_TOKEN", "hf_abcdefghijklmnop")
    shows = HANDLER.replace("return len(request", "import os; return sorted(os.environ) or len(request")
    with run_container(write_archive(tmp_path / "model.tar.gz", shows), QUICK, {"GIVEN": "1"}) as running:
        seen = json.loads(running.invoke(body()))["answer"]
    assert "GIVEN" in seen and not [name for name in seen if "AWS" in name or "TOKEN" in name]


def test_the_folder_is_gone_and_the_process_has_ended_afterwards(tmp_path):
    with run_container(write_archive(tmp_path / "model.tar.gz"), QUICK) as running:
        folder = json.loads(running.log().splitlines()[-1])["handler"]
    from pathlib import Path

    assert running.process.poll() is not None and not Path(folder).exists()
