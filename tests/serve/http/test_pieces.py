"""From the engine's tokens to pieces of text, and whether anybody still wants them."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finqa_lab.nn.generate import Stop
from finqa_lab.serve.http.detokenize import REPLACEMENT
from finqa_lab.serve.http.pieces import pieces
from finqa_lab.serve.http.presence import DeadlinePassed, attended
from finqa_lab.serve.http.request_log import Exchange
from finqa_lab.serve.request import Request
from finqa_lab.web.body import ClientGone
from tests.serve.http.serving import FakeWorker, tokenizer
from tests.serve.http.test_text import cut


def read(worker, stop=(), limit=200):
    """All pieces of a reply, and what was counted."""
    exchange = Exchange("id", "/v1/completions", "POST")

    async def collect():
        request = Request((1,), Stop(limit))
        return [piece async for piece in pieces(worker, request, tuple(stop), tokenizer(), exchange)]

    return asyncio.run(collect()), exchange


TEXTS = st.text(st.sampled_from("ab .\u20ac\U0001f600\n"), max_size=25)
STOPS = st.lists(st.text(st.sampled_from("ab.\U0001f600"), min_size=1, max_size=4), max_size=3)


@given(TEXTS, STOPS)
@settings(max_examples=200, deadline=None)
def test_the_text_is_that_before_the_first_stop_string_whatever_the_tokens(text, stop):
    worker = FakeWorker(text)
    found, exchange = read(worker, stop)
    expected, ended = cut(text, stop)
    assert "".join(piece.text for piece in found) == expected and not any(REPLACEMENT in one.text for one in found)
    assert [piece.finish for piece in found] == [None] * (len(found) - 1) + ["stop"]
    assert all(piece.text for piece in found[1:-1]) and exchange.finish_reason == "stop"
    tokens = len(tokenizer().encode(text).ids) + 1
    assert worker.cancelled == (exchange.output_tokens < tokens) and 1 <= exchange.output_tokens <= tokens
    assert ended is not None or exchange.output_tokens == tokens


@given(TEXTS.filter(bool), st.integers(1, 10))
@settings(max_examples=100, deadline=None)
def test_a_reply_at_its_limit_is_the_text_of_its_tokens(text, limit):
    ids = tokenizer().encode(text).ids
    found, exchange = read(FakeWorker(text), limit=limit)
    assert "".join(piece.text for piece in found) == tokenizer().decode(ids[:limit])
    assert found[-1].finish == ("length" if limit <= len(ids) else "stop")
    assert exchange.output_tokens == min(limit, len(ids) + 1)


def test_the_first_piece_comes_with_the_first_token_even_without_text():
    found, exchange = read(FakeWorker("\U0001f600 yes"))
    assert found[0].text == "" and found[0].finish is None and "".join(one.text for one in found) == "\U0001f600 yes"
    assert exchange.first_token is not None and exchange.queue == 0.001


def watched(seconds, body, leaves_after=None):
    """Run ``await body()`` for a client that stays, or leaves after some seconds."""

    async def receive():
        await asyncio.sleep(1000 if leaves_after is None else leaves_after)
        return {"type": "http.disconnect"}

    async def main():
        async with attended(receive, seconds):
            return await body()

    return asyncio.run(main())


async def forever():
    await asyncio.sleep(1000)


async def at_once():
    return "done"


def test_a_body_runs_while_its_client_is_there():
    assert watched(10, at_once) == "done"
    with pytest.raises(DeadlinePassed):
        watched(0.01, forever)
    with pytest.raises(DeadlinePassed):
        watched(-1, forever)
    with pytest.raises(ClientGone):
        watched(10, forever, leaves_after=0.01)


def test_a_timeout_of_the_body_itself_is_not_taken_for_the_deadline():
    async def impatient():
        async with asyncio.timeout(0.01):
            await forever()

    with pytest.raises(TimeoutError):
        watched(10, impatient)


def test_whoever_cancels_the_body_gets_the_cancellation():
    async def main():
        async def receive():
            await forever()

        async def work():
            async with attended(receive, 10):
                await forever()

        task = asyncio.create_task(work())
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return len(asyncio.all_tasks())

    assert asyncio.run(main()) == 1  # the watcher has ended too
