"""Load from the command line, in its own process's place, against a real server on loopback."""

import asyncio
import json
import threading

import pytest

from finqa_lab.serve.load.__main__ import main
from finqa_lab.serve.load.journal import read_log
from tests.serve.load.speaking_server import speaking


@pytest.fixture
def server():
    ready, stop, found = threading.Event(), None, {}

    async def run():
        nonlocal stop
        stop = asyncio.Event()
        async with speaking() as speaker:
            found["server"], found["loop"] = speaker, asyncio.get_running_loop()
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    ready.wait(10)
    yield found["server"]
    found["loop"].call_soon_threadsafe(stop.set)
    thread.join(10)


def test_load_is_sent_and_reported(server, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("A_KEY", "secret-word")
    out = tmp_path / "open.jsonl"
    words = ["send", server.url + "/", "--model", "tiny", "--requests", "12", "--out", str(out)]
    assert main([*words, "--rate", "500", "--api-key-env", "A_KEY"]) == 0
    printed = capsys.readouterr().out
    facts = json.loads(printed.splitlines()[-1])
    assert facts["runs"][0]["served"] == 12 and "secret-word" not in printed + out.read_text()
    assert all(body["max_tokens"] == 64 and body["messages"][0]["role"] == "system" for body in server.bodies)
    again = tmp_path / "again.jsonl"
    replay = ["send", server.url, "--model", "tiny", "--trace", str(out), "--out", str(again)]
    assert main(replay) == 0
    first, second = (sorted(record.planned for record in read_log(path).records) for path in (out, again))
    assert [b - second[0] for b in second] == pytest.approx([a - first[0] for a in first])


def test_bodies_come_from_a_file_and_repeat(server, tmp_path, capsys):
    (tmp_path / "bodies.jsonl").write_text('{"prompt": "a"}\n{"prompt": "b", "max_tokens": 3}\n')
    words = ["send", server.url, "--model", "tiny", "--concurrency", "1", "--requests", "3"]
    assert main([*words, "--bodies", str(tmp_path / "bodies.jsonl"), "--out", str(tmp_path / "log")]) == 0
    assert [(body["prompt"], body["max_tokens"]) for body in server.bodies] == [("a", 64), ("b", 3), ("a", 64)]


def test_an_ollama_log_is_reported(tmp_path, capsys):
    (tmp_path / "server.log").write_text("noise\n[GIN] broken\n")
    assert main(["report", str(tmp_path / "server.log"), "--ollama"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["malformed"] == ["line 2: it is no whole request line"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["report", "no-such-log"], "run the load first"),
        (["send", "http://x/v1", "--model", "m", "--rate", "0", "--out", "log"], "positive rate"),
        (["send", "http://x/v1", "--model", "m", "--rate", "1", "--out", "log", "--bodies", "none"], "JSON lines"),
        (["send", "http://x/v1", "--model", "m", "--rate", "1", "--out", "log", "--api-key-env", "NO_SUCH"], "NO_SUCH"),
    ],
)
def test_mistakes_are_one_sentence(words, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
