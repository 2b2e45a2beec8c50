"""The queue: batches form by themselves, nothing is lost, mixed up or left behind."""

import asyncio
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finqa_lab.arithmetic.service.batching import Batcher, DeadlinePassed, DecodeFailed, QueueFull
from finqa_lab.arithmetic.service.validation import Problem
from tests.arithmetic.service_helpers import FakeEngine


def problem(number: int) -> Problem:
    return Problem(500, "+", number)


def with_batcher(use, **limits):
    """Run ``use(batcher)`` in an event loop with a started batcher, which is closed at the end."""

    async def whole():
        batcher = Batcher(**limits)
        batcher.start()
        try:
            return await use(batcher)
        finally:
            await batcher.close(5)

    return asyncio.run(whole())


def test_an_idle_engine_decodes_at_once_and_alone():
    engine = FakeEngine()

    async def use(batcher):
        for number in range(5):
            answers = await batcher.submit([problem(number)], engine).future
            assert answers[0].value == 500 + number

    with_batcher(use)
    assert engine.batches == [1] * 5


def test_what_waits_during_a_decode_shares_the_next():
    engine = FakeEngine(delay=0.1)

    async def use(batcher):
        jobs = [batcher.submit([problem(number)], engine) for number in range(100)]
        answers = await asyncio.gather(*(job.future for job in jobs))
        assert [answer[0].value for answer in answers] == [500 + number for number in range(100)]
        assert [jobs[0].batch, jobs[1].batch, jobs[99].batch] == [1, 64, 35]

    with_batcher(use)
    assert engine.batches == [1, 64, 35]


@given(st.lists(st.integers(1, 9), min_size=1, max_size=30), st.integers(1, 8))
@settings(max_examples=40, deadline=None)
def test_every_job_gets_its_own_answers(sizes, max_batch):
    engine = FakeEngine()

    async def use(batcher):
        jobs, number = [], 0
        for size in sizes:
            jobs.append(batcher.submit([problem(number + offset) for offset in range(size)], engine))
            number += size
        for job in jobs:
            answers = await job.future
            assert [answer.value for answer in answers] == [500 + problem.right for problem in job.problems]

    with_batcher(use, max_batch=max_batch)
    assert max(engine.batches) <= max_batch and sum(engine.batches) == sum(sizes)


def test_no_batch_mixes_versions_and_admitted_jobs_keep_theirs():
    old, new = FakeEngine("old", delay=0.05), FakeEngine("new")

    async def use(batcher):
        engines = [old, old, old, new, old, new, new]
        await asyncio.gather(*(batcher.submit([problem(1)], engine).future for engine in engines))

    with_batcher(use)
    assert (old.batches, new.batches) == ([1, 2, 1], [1, 2])


def test_a_full_queue_refuses_and_says_when_to_come_back():
    engine = FakeEngine(delay=0.1)

    async def use(batcher):
        jobs = [batcher.submit([problem(0)], engine)]  # being decoded, does not count
        jobs += [batcher.submit([problem(number)], engine) for number in range(3)]
        with pytest.raises(QueueFull) as full:
            batcher.submit([problem(9)], engine)
        assert full.value.retry_after >= 1
        jobs[1].future.cancel()  # a client that left makes room
        jobs.append(batcher.submit([problem(4)], engine))
        with pytest.raises(QueueFull):
            batcher.submit([problem(5), problem(6)], engine)
        done = await asyncio.gather(*(job.future for job in jobs), return_exceptions=True)
        assert sum(isinstance(answer, asyncio.CancelledError) for answer in done) == 1

    with_batcher(use, limit=3)
    assert sum(engine.batches) == 4  # the cancelled one was never decoded


def test_a_deadline_that_passes_while_waiting():
    slow = FakeEngine(delay=0.2)

    async def use(batcher):
        first, late = batcher.submit([problem(1)], slow), batcher.submit([problem(2)], slow)
        assert (await first.future)[0].value == 501
        with pytest.raises(DeadlinePassed):
            await late.future

    with_batcher(use, timeout=0.05)
    assert slow.batches == [1]


def test_a_failing_engine_does_not_end_the_worker():
    engine = FakeEngine()

    async def use(batcher):
        for failures in (1, 2, 3):
            assert batcher.trouble() is None
            with pytest.raises(DecodeFailed, match="ArithmeticError: unlucky"):
                await batcher.submit([Problem(13, "+", 0)], engine).future
            assert batcher.failures == failures
        assert "last 3 decodes failed" in batcher.trouble()
        assert (await batcher.submit([problem(1)], engine).future)[0].value == 501
        assert batcher.trouble() is None

    with_batcher(use)


def test_an_engine_that_raises_system_exit_or_miscounts():
    class Rude:
        version = "rude"

        def answer(self, problems):
            raise SystemExit(3)

    class Short:
        version = "short"

        def answer(self, problems):
            return []

    async def use(batcher):
        with pytest.raises(DecodeFailed, match="SystemExit"):
            await batcher.submit([problem(1)], Rude()).future
        with pytest.raises(DecodeFailed, match="0 answers to 1 problems"):
            await batcher.submit([problem(1)], Short()).future
        assert (await batcher.submit([problem(1)], FakeEngine()).future)[0].value == 501

    with_batcher(use)


def test_a_decode_that_hangs_is_reported():
    async def use(batcher):
        job = batcher.submit([problem(1)], FakeEngine(delay=0.3))
        await asyncio.sleep(0.15)
        assert "has been running" in batcher.trouble()
        await job.future
        assert batcher.trouble() is None

    with_batcher(use, timeout=0.1)


def test_closing_finishes_what_was_admitted():
    engine = FakeEngine(delay=0.05)

    async def use():
        batcher = Batcher(max_batch=2)
        batcher.start()
        jobs = [batcher.submit([problem(number)], engine) for number in range(6)]
        assert await batcher.close(5) is True
        assert [job.future.result()[0].value for job in jobs] == [500 + number for number in range(6)]

    asyncio.run(use())


def test_closing_gives_up_after_its_patience():
    async def use():
        batcher = Batcher(max_batch=1)
        batcher.start()
        jobs = [batcher.submit([problem(number)], FakeEngine(delay=0.4)) for number in range(3)]
        start = time.monotonic()
        assert await batcher.close(0.1) is False
        assert time.monotonic() - start < 5
        with pytest.raises(DeadlinePassed):
            await jobs[2].future

    asyncio.run(use())
