"""Open and closed loops, and the log that survives an interruption."""

import asyncio
import json
import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from finqa_lab.errors import CourseError
from finqa_lab.serve.load.arrivals import poisson, replayed
from finqa_lab.serve.load.client import Target
from finqa_lab.serve.load.generator import send_closed, send_open
from finqa_lab.serve.load.journal import Journal, read_log
from finqa_lab.serve.load.record import RequestRecord
from tests.serve.load.speaking_server import REPLY, event, speaking


def bodies(count):
    return [{"prompt": f"question {number}"} for number in range(count)]


def test_poisson_gaps_are_exponential_and_seeded():
    times = poisson(rate=4.0, count=4000, seed=3)
    assert times == poisson(rate=4.0, count=4000, seed=3) != poisson(rate=4.0, count=4000, seed=4)
    gaps = np.diff([0.0, *times])
    assert stats.kstest(gaps, "expon", args=(0, 1 / 4.0)).pvalue > 0.01
    counts = np.histogram(times, np.arange(0, 900))[0]
    assert counts.var() / counts.mean() == pytest.approx(1, abs=0.15)  # equal distances would have nearly none


@pytest.mark.parametrize(
    "call",
    [
        lambda: poisson(0, 3, 0),
        lambda: poisson(1, 0, 0),
        lambda: poisson(float("nan"), 1, 0),
        lambda: replayed([]),
        lambda: replayed([1, 2], 0),
        lambda: replayed([2, 1]),
        lambda: replayed([1, float("nan")]),
    ],
)
def test_arrivals_that_cannot_be_made_are_refused(call):
    with pytest.raises(CourseError):
        call()


def test_an_open_loop_sends_while_earlier_requests_wait_and_a_closed_one_does_not(tmp_path):
    async def run(send, patient):
        everyone_is_here = asyncio.Event()
        waited = []

        def script(number, body):
            async def wait_for_all():
                if len(server.bodies) == 4:
                    everyone_is_here.set()
                try:
                    await asyncio.wait_for(everyone_is_here.wait(), 2.0 if patient else 0.1)
                    waited.append(True)
                except TimeoutError:
                    waited.append(False)

            return 200, {}, [wait_for_all, *REPLY]

        async with speaking(script) as server:
            log = await send(Target(server.url, "tiny"))
        return log, waited

    log, waited = asyncio.run(
        run(lambda target: send_open(target, bodies(4), [0, 0, 0.01, 0.02], tmp_path / "open"), True)
    )
    assert waited == [True] * 4 and all(record.ok for record in log.records)
    log, waited = asyncio.run(run(lambda target: send_closed(target, bodies(3), 1, tmp_path / "closed"), False))
    assert waited == [False] * 3  # one at a time: they never met


def test_a_closed_loop_keeps_its_number_of_requests_on_the_way_and_never_more(tmp_path):
    now, most = 0, 0

    def script(number, body):
        async def come():
            nonlocal now, most
            now += 1
            most = max(most, now)
            await asyncio.sleep(0.01)

        async def go():
            nonlocal now
            now -= 1

        return 200, {}, [come, event("4"), go, *REPLY[1:]]

    async def run():
        async with speaking(script) as server:
            return await send_closed(Target(server.url, "tiny"), bodies(20), 4, tmp_path / "log")

    log = asyncio.run(run())
    assert most == 4
    assert sorted(record.index for record in log.records) == list(range(20))
    assert all(record.planned == record.sent for record in log.records)


def test_open_loop_latency_counts_from_the_plan(tmp_path):
    async def run():
        async with speaking() as server:
            return await send_open(Target(server.url, "tiny"), bodies(3), [0.0, 0.02, 0.02], tmp_path / "log")

    log = asyncio.run(run())
    records = sorted(log.records, key=lambda record: record.index)
    assert [round(record.planned - records[0].planned, 9) for record in records] == [0.0, 0.02, 0.02]
    assert all(record.sent >= record.planned for record in records)
    assert all(record.latency == record.finished - record.planned for record in records)


@pytest.mark.parametrize("mode", ["open", "closed"])
def test_an_interrupted_run_goes_on_and_asks_nothing_twice(tmp_path, mode):
    path = tmp_path / "log.jsonl"
    times = [0.0] * 3 + [0.05 * number for number in range(1, 8)]

    def send(target):
        return (
            send_open(target, bodies(10), times, path) if mode == "open" else send_closed(target, bodies(10), 2, path)
        )

    async def run():
        async with speaking() as server:
            first = asyncio.create_task(send(Target(server.url, "tiny")))
            while len(server.bodies) < 4:
                await asyncio.sleep(0.001)
            first.cancel()
            await asyncio.gather(first, return_exceptions=True)
            done = {record.index for record in read_log(path).records}
            with path.open("ab") as torn:
                torn.write(b'{"kind": "request", "index": 9, "ru')
            before = len(server.bodies)
            log = await send(Target(server.url, "tiny"))
            return done, server.bodies[before:], log

    done, again, log = asyncio.run(run())
    assert len(done) < 10
    assert sorted(body["prompt"] for body in again) == sorted(f"question {n}" for n in set(range(10)) - done)
    assert sorted(record.index for record in log.records) == list(range(10))
    assert [header.run for header in log.headers] == [0, 1]
    assert {record.run for record in log.records if record.index not in done} == {1}
    assert all(line.endswith("}") for line in path.read_text().splitlines())


def test_a_resumed_open_loop_keeps_the_distances_that_were_planned(tmp_path):
    times = [0.0, 5.0, 5.02, 5.05]
    with Journal(tmp_path / "log", "u", "open", None, _digest(4, times), "now") as journal:
        journal.append(RequestRecord(0, 0, 0.0, 0.0, (), 0.1, 429))

    async def run():
        async with speaking() as server:
            return await send_open(Target(server.url, "tiny"), bodies(4), times, tmp_path / "log")

    later = [record for record in asyncio.run(run()).records if record.run == 1]
    planned = [record.planned for record in sorted(later, key=lambda record: record.index)]
    assert [round(time - planned[0], 9) for time in planned] == [0.0, 0.02, 0.05]


def _digest(count, times):
    from finqa_lab.serve.load.generator import plan_digest

    return plan_digest(bodies(count), times)


def test_a_log_of_other_requests_is_not_gone_on_with(tmp_path):
    path = tmp_path / "log"

    async def run():
        async with speaking() as server:
            target = Target(server.url, "tiny")
            await send_closed(target, bodies(2), 1, path)
            for wrong in (send_closed(target, bodies(3), 1, path), send_closed(target, bodies(2), 2, path),
                          send_open(target, bodies(2), [0, 0], path)):  # fmt: skip
                with pytest.raises(CourseError, match="another plan"):
                    await wrong
            return await send_closed(target, bodies(2), 1, path)  # nothing left to send

    assert len(asyncio.run(run()).records) == 2


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda target, path: send_open(target, bodies(2), [0.0], path), "one time each"),
        (lambda target, path: send_open(target, bodies(2), [1.0, 0.0], path), "rising order"),
        (lambda target, path: send_open(target, [], [], path), "0 requests"),
        (lambda target, path: send_closed(target, [{}], 1, path), "request 0 must have either"),
        (lambda target, path: send_closed(target, bodies(1), 0, path), "0 workers"),
    ],
)
def test_plans_that_cannot_be_sent_are_refused(call, message, tmp_path):
    with pytest.raises(CourseError, match=message):
        asyncio.run(call(Target("http://127.0.0.1:1", "tiny"), tmp_path / "log"))
    assert not (tmp_path / "log").exists()


floats = st.floats(0, 1e6)
records = st.builds(
    RequestRecord, index=st.integers(0, 9), run=st.integers(0, 3), planned=floats, sent=floats,
    token_times=st.lists(floats, max_size=3).map(tuple), finished=floats, status=st.sampled_from([0, 200, 429]),
    prompt_tokens=st.none() | st.integers(0, 99), output_tokens=st.integers(0, 99), finish_reason=st.none() | st.text(),
    retry_after=st.none() | floats, error=st.text(), text=st.text(),
)  # fmt: skip


@given(records)
def test_a_record_survives_its_line(record):
    line = record.to_line()
    assert line.endswith("\n") and "\n" not in line[:-1]
    assert RequestRecord.from_line(line) == record


def test_lines_that_are_no_records_are_reported_with_their_number(tmp_path):
    good = RequestRecord(0, 0, 0.0, 0.0, (), 0.1, 200).to_line()
    changes = [('"status": 200', '"status": "200"'), ('"index": 0', '"index": true'), ('"run"', '"ran"'), ("}\n", "\n")]
    for bad in ["{}\n", "[]\n", "x\n", *(good.replace(*change) for change in changes)]:
        (tmp_path / "log").write_text(good + bad)
        with pytest.raises(CourseError, match="line 2"):
            read_log(tmp_path / "log")
    with pytest.raises(CourseError, match="run the load first"):
        read_log(tmp_path / "none")


def test_unicode_line_ends_inside_a_reply_do_not_tear_its_line(tmp_path):
    record = RequestRecord(0, 0, 0.0, 0.0, (), 0.1, 200, text="a\u2028b\x85c\rd\x1ee")
    with Journal(tmp_path / "log", "u", "open", None, "p", "now") as journal:
        journal.append(record)
    assert read_log(tmp_path / "log").records == [record]


def test_a_full_disk_is_an_error_in_one_sentence(tmp_path, monkeypatch):
    with Journal(tmp_path / "log", "u", "open", None, "p", "now") as journal:
        write = os.write
        monkeypatch.setattr(os, "write", lambda file, data: write(file, data[:10]))
        with pytest.raises(CourseError, match="the disk is full"):
            journal.append(RequestRecord(0, 0, 0.0, 0.0, (), 0.1, 200))
        monkeypatch.undo()
    assert json.loads((tmp_path / "log").read_text().splitlines()[0])["kind"] == "run"


def test_a_disk_that_fills_during_a_run_ends_it_with_one_sentence(tmp_path, monkeypatch):
    async def run():
        async with speaking() as server:
            write, lines = os.write, 0

            def filling(file, data):
                nonlocal lines
                if data.startswith(b'{"kind"'):
                    lines += 1
                return write(file, data) if lines < 4 else 3

            monkeypatch.setattr(os, "write", filling)
            await send_closed(Target(server.url, "tiny"), bodies(20), 3, tmp_path / "log")

    with pytest.raises(CourseError, match="the disk is full"):
        asyncio.run(run())
    monkeypatch.undo()
    assert len(read_log(tmp_path / "log").records) == 2


@pytest.mark.parametrize("url", ["", "127.0.0.1:8000", "ftp://x/v1", "http://", "http://x:y/v1", "http://[::1/v1"])
def test_an_address_that_is_none_is_refused(url):
    with pytest.raises(CourseError, match="no address of a server"):
        Target(url, "tiny")
    with pytest.raises(CourseError, match="timeout"):
        Target("http://x/v1", "tiny", timeout=0)
