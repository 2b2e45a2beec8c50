"""Streams from the engine's thread: tokens as they come, refusals, clients that go, an engine that dies."""

import asyncio

import pytest

from finqa_lab.errors import CourseError
from finqa_lab.nn.generate import Stop
from finqa_lab.serve.engine import Engine, EngineSettings
from finqa_lab.serve.request import Overloaded, Request
from finqa_lab.serve.worker import EngineWorker
from tests.serve.engines import alone, decoder, requests


def with_worker(use, settings=None):
    """Run ``await use(worker)`` with a running worker that is closed afterwards."""

    async def main():
        worker = EngineWorker(Engine(decoder(), settings))
        worker.start()
        try:
            return await asyncio.wait_for(use(worker), 60)
        finally:
            worker.close()

    return asyncio.run(main())


async def read(worker, request):
    return [event.token async for event in worker.stream(request)]


async def until(condition):
    for _ in range(2000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it did not happen")


def test_many_streams_get_what_each_would_get_alone():
    asked = requests(12)

    async def use(worker):
        return await asyncio.gather(*(read(worker, request) for request in asked))

    assert with_worker(use) == [alone(decoder(), request) for request in asked]


def test_a_refused_request_says_so_before_any_token():
    async def use(worker):
        with pytest.raises(CourseError, match="no adapter 'green'"):
            await read(worker, Request((1,), Stop(3), adapter="green"))
        return await read(worker, Request((1,), Stop(3)))

    assert len(with_worker(use)) == 3


def test_a_full_queue_is_told_to_the_client():
    async def use(worker):
        results = await asyncio.gather(*(read(worker, one) for one in requests(40, limit=30)), return_exceptions=True)
        return sum(isinstance(one, Overloaded) for one in results), sum(isinstance(one, list) for one in results)

    refused, served = with_worker(use, EngineSettings(batch=1, waiting=2))
    assert refused > 0 and served > 0 and refused + served == 40


def test_closing_a_stream_frees_its_blocks():
    async def use(worker):
        stream = worker.stream(Request((1, 2, 3), Stop(90)))
        await anext(stream)
        assert worker.statistics.running == 1
        await stream.aclose()
        await until(lambda: worker.statistics.running == 0)
        assert worker.statistics.cancelled == 1
        return worker.statistics.blocks_free

    assert with_worker(use, EngineSettings(prefix_cache=False)) == EngineSettings().blocks


def test_a_task_that_is_cancelled_cancels_its_request():
    async def use(worker):
        for wait in (0, 0.02):  # before the engine has answered, and in the middle
            task = asyncio.create_task(read(worker, Request((1, 2, 3), Stop(90))))
            await asyncio.sleep(wait)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        await until(lambda: worker.statistics.running == worker.statistics.waiting == 0)
        return len(await read(worker, Request((1,), Stop(3))))

    assert with_worker(use) == 3


def test_closing_the_worker_ends_every_stream():
    async def use(worker):
        streams = [asyncio.create_task(read(worker, Request((1, 2, number), Stop(90)))) for number in range(4)]
        await until(lambda: worker.statistics.running == 4)
        worker.close()
        for one in await asyncio.gather(*streams, return_exceptions=True):
            assert isinstance(one, CourseError) and "closed before the reply was complete" in str(one)
        with pytest.raises(CourseError, match="the engine does not run"):
            await read(worker, Request((1,), Stop(3)))
        assert not worker.alive
        return worker.engine.busy

    assert with_worker(use) is False


def test_an_engine_that_dies_lets_nobody_wait(caplog):
    async def use(worker):
        streams = [asyncio.create_task(read(worker, Request((1, number), Stop(90)))) for number in range(3)]
        await until(lambda: worker.statistics.running == 3)

        def broken(work):
            raise RuntimeError("out of memory")

        worker.engine.runner.run = broken
        for one in await asyncio.gather(*streams, return_exceptions=True):
            assert isinstance(one, CourseError) and "has failed" in str(one)
        with pytest.raises(CourseError, match="does not run"):
            await read(worker, Request((1,), Stop(3)))
        return worker.alive, str(worker.failure)

    assert with_worker(use) == (False, "out of memory")
    assert "the engine has died" in caplog.text
