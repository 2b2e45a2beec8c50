"""Keys, request ids, and the web pages that may not ask."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finqa_lab.errors import CourseError
from finqa_lab.web.access import RequestIds, check_key_length, foreign_page, key_from_environment, key_matches

KEY = b"a-key-of-some-length"


@pytest.mark.parametrize(
    "headers, right",
    [
        ([(b"authorization", b"Bearer " + KEY)], True),
        ([(b"authorization", b"bearer " + KEY)], True),
        ([(b"x-api-key", KEY)], True),
        ([(b"authorization", b"Basic " + KEY)], False),
        ([(b"x-api-key", KEY + b"x")], False),
        ([(b"x-api-key", b"")], False),
        ([(b"authorization", KEY)], False),
        ([], False),
    ],
)
def test_a_key_is_accepted_in_two_headers_and_only_whole(headers, right):
    assert key_matches(headers, KEY) is right


def test_the_key_comes_from_the_environment_or_not_at_all(monkeypatch):
    assert key_from_environment(None) is None
    monkeypatch.setenv("SOME_KEY", f" {KEY.decode()} ")
    assert key_from_environment("SOME_KEY") == KEY.decode()
    for bad in ("", "  ", "schl\u00fcssel-mit-umlaut", "a\tkey-with-a-tab"):
        monkeypatch.setenv("SOME_KEY", bad)
        with pytest.raises(CourseError, match="SOME_KEY"):
            key_from_environment("SOME_KEY")
    with pytest.raises(CourseError, match="shorter than 16"):
        check_key_length("x" * 15)
    check_key_length("x" * 16)


@given(st.binary(max_size=80))
def test_a_request_id_of_the_client_is_taken_only_when_it_is_harmless(sent):
    found = RequestIds().of([(b"x-request-id", sent)])
    assert 0 < len(found) <= 64 and set(found) <= set(
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"
    )


def test_request_ids_differ_within_a_process_and_between_two():
    one, other = RequestIds(), RequestIds()
    assert len({one.of([]), one.of([]), other.of([]), other.of([])}) == 4
    assert one.of([(b"x-request-id", b"mine-1")]) == "mine-1"


@pytest.mark.parametrize(
    "headers, foreign",
    [
        ({}, False),
        ({b"host": b"127.0.0.1:8000"}, False),
        ({b"host": b"[::1]:8000"}, False),
        ({b"host": b"localhost", b"origin": b"http://localhost:3000"}, False),
        ({b"host": b"127.0.0.1:8000", b"origin": b"https://evil.example"}, True),
        ({b"host": b"127.0.0.1:8000", b"origin": b"null"}, True),
        ({b"host": b"127.0.0.1:8000", b"origin": b"http://127.0.0.1.evil.example"}, True),
        ({b"host": b"rebound.example:8000"}, True),
        ({b"host": b"[::1"}, True),
        ({b"host": b"\xff"}, True),
    ],
)
def test_a_page_from_elsewhere_is_recognised(headers, foreign):
    assert foreign_page(headers.items()) is foreign
