"""A server in a process of its own: it answers, it writes its log, it is gone behind the block."""

import json
import urllib.error
import urllib.request

import pytest

from finqa_lab.errors import CourseError
from finqa_lab.web.background import serving


def get(url: str) -> dict:
    with urllib.request.urlopen(url, timeout=30) as answer:
        return json.load(answer)


def test_a_server_lives_as_long_as_its_block():
    with serving("finqa-tiny", ["--batch", "2"]) as server:
        assert get(f"{server.url}/health")["status"] == "ready"
        assert [model["id"] for model in get(f"{server.url}/v1/models")["data"]] == ["finqa-tiny"]
        assert server.lines("listening") and server.process.poll() is None
    assert server.process.returncode == 0, "it was asked to end, and did"
    with pytest.raises(urllib.error.URLError):
        get(f"{server.url}/health")


def test_a_server_that_cannot_start_says_why():
    with pytest.raises(CourseError, match="ended with status 2 before it listened: .*no model 'nobody'"):
        with serving("nobody"):
            raise AssertionError("it does not run")


def test_an_error_in_the_block_ends_the_server_too():
    with pytest.raises(ZeroDivisionError):
        with serving("finqa-tiny") as server:
            raise ZeroDivisionError
    assert server.process.poll() is not None
