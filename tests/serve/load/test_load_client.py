"""One request as its user sees it, whatever the server does."""

import asyncio

import pytest

from finqa_lab.serve.load import client as client_module
from finqa_lab.serve.load.client import Target, ask, open_client, started_clock
from tests.serve.load.speaking_server import DONE, REPLY, event, speaking

CHAT = {"messages": [{"role": "user", "content": "6 * 7?"}], "max_tokens": 5}


def one(script=None, body=None, timeout=20.0, url=None):
    async def run():
        async with speaking(script) as server:
            target = Target(url or server.url, "tiny", timeout)
            async with open_client(target) as client:
                return server, await ask(client, target, body or CHAT, 3, 1, None, started_clock())

    return asyncio.run(run())


def test_a_reply_is_read_with_the_times_of_its_pieces_and_the_servers_counts():
    server, record = one()
    assert (record.index, record.run, record.status, record.ok) == (3, 1, 200, True)
    assert (record.text, record.finish_reason, record.prompt_tokens, record.output_tokens) == ("42", "stop", 7, 2)
    assert record.planned == record.sent <= record.token_times[0] <= record.token_times[1] <= record.finished
    assert server.paths == ["/v1/chat/completions"]
    sent = server.bodies[0]
    assert sent["stream"] is True and sent["stream_options"] == {"include_usage": True} and sent["model"] == "tiny"


def test_a_prompt_goes_to_completions_and_its_text_is_read():
    text = [
        b'data: {"choices": [{"text": "a"}]}\n\n',
        b'data: {"choices": [{"text": "", "finish_reason": "length"}]}\n',
        DONE,
    ]
    server, record = one(lambda n, b: (200, {}, text), {"prompt": "x"})
    assert server.paths == ["/v1/completions"]
    assert (record.text, record.finish_reason, record.output_tokens) == ("a", "length", 1)


def test_the_bodys_own_options_go_before_ours():
    server, _ = one(body=CHAT | {"model": "other"})
    assert server.bodies[0]["model"] == "other"


def test_events_may_be_cut_anywhere_and_hold_any_text():
    whole = b"".join([b": comment\r\n\r\n", event("é€").replace(b"\\u00e9\\u20ac", "é€".encode()), *REPLY[2:]])
    whole = whole.replace(b"\n", b"\r\n").replace(b"\r\r", b"\r")
    _, record = one(lambda n, b: (200, {}, [whole[i : i + 1] for i in range(len(whole))]))
    assert record.ok and record.text == "é€"


def test_without_a_count_the_pieces_are_counted():
    _, record = one(lambda n, b: (200, {}, [event("a"), event("b"), event("c", "stop"), DONE]))
    assert (record.prompt_tokens, record.output_tokens) == (None, 3)


def test_a_refusal_keeps_status_words_and_retry_after():
    _, record = one(lambda n, b: (429, {"Retry-After": "3"}, [b'{"error": "the queue\nis full"}']))
    assert (record.status, record.ok, record.retry_after) == (429, False, 3.0)
    assert record.error == '{"error": "the queue is full"}'
    _, record = one(lambda n, b: (503, {"Retry-After": "Wed, 21 Oct"}, []))
    assert (record.status, record.retry_after) == (503, None)


async def forever():
    await asyncio.sleep(3600)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ([event("4"), None], "RemoteProtocolError"),
        ([event("4")], "ended without [DONE]"),
        ([b"data: {not json\n\n"], "an event cannot be read"),
        ([b"data: [1]\n\n"], "an event cannot be read"),
        ([b'data: {"choices": [3]}\n\n'], "an event cannot be read"),
        ([b'data: {"error": {"message": "out of blocks"}}\n\n'], "out of blocks"),
        ([event("4"), b"x" * 3000], "a line has more than 2,000 bytes"),
    ],
)
def test_a_stream_that_breaks_is_a_failure_that_keeps_what_came(parts, message, monkeypatch):
    monkeypatch.setattr(client_module, "LARGEST_LINE", 2000)
    _, record = one(lambda n, b: (200, {}, parts))
    assert record.status == 0 and not record.ok and message in record.error
    assert record.text == ("4" if parts[0] == event("4") else "")


def test_a_silent_server_is_given_up():
    _, record = one(lambda n, b: (200, {}, [event("4"), forever]), timeout=0.2)
    assert (record.status, record.text) == (0, "4") and "no whole reply within" in record.error


def test_nobody_listening_is_a_failure():
    _, record = one(url="http://127.0.0.1:1/v1")
    assert record.status == 0 and "ConnectError" in record.error


def test_an_empty_reply_is_whole_but_has_no_first_token():
    _, record = one(lambda n, b: (200, {}, [event(reason="stop"), event(usage=(7, 1)), DONE]))
    assert record.ok and record.ttft is None and record.tpot is None
