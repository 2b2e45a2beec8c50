"""Ten thousand random steps of a crowded engine: no block is lost, no reply changed."""

import random
from collections import Counter

import pytest

from finqa_lab.nn.generate import Stop
from finqa_lab.serve.engine import Engine, EngineSettings
from finqa_lab.serve.request import Overloaded, Request
from tests.serve.engines import adapted, alone

BEGINNINGS = [tuple(random.Random(seed).choices(range(61), k=12)) for seed in range(4)]


def assert_blocks_are_accounted_for(engine):
    """Every block has as many holders as there are tables and index entries that name it."""
    holders = Counter(block for one in engine.scheduler.running for block in one.blocks)
    holders.update(engine.manager.index.blocks())
    references = engine.pool.references
    assert all(references[block] == holders[block] for block in range(len(references)))
    assert engine.pool.free == sum(count == 0 for count in references)
    assert all(not one.blocks and not one.computed for one in engine.scheduler.waiting)


@pytest.mark.slow
def test_no_block_is_lost_in_ten_thousand_random_steps():
    chance = random.Random(5)
    engine = Engine(adapted(), EngineSettings(blocks=14, block_size=4, batch=5, step_tokens=12, waiting=6))
    asked, replies, ended, expected = {}, {}, set(), {}
    kinds = Counter()
    for _ in range(10_000):
        action = chance.random()
        if action < 0.3:
            tail = tuple(chance.randrange(61) for _ in range(chance.randint(1, 8)))
            prompt = chance.choice([*BEGINNINGS, ()]) + tail
            request = Request(prompt, Stop(chance.randint(1, 16)), adapter=chance.choice([None, None, "red", "blue"]))
            try:
                number = engine.add(request)
            except Overloaded:
                kinds["refused"] += 1
            else:
                asked[number], replies[number] = request, []
        elif action < 0.34 and engine.busy:
            number = chance.choice([one.number for one in (*engine.scheduler.running, *engine.scheduler.waiting)])
            engine.cancel(number)
            engine.cancel(number)  # again: nothing happens
            ended.add(number)
            kinds["cancelled"] += 1
        else:
            for event in engine.step():
                assert event.row not in ended
                replies[event.row].append(event.token)
                if event.ended is not None:
                    ended.add(event.row)
                    kinds["finished"] += 1
                    if kinds["finished"] % 20 == 0:  # the oracle is slow; a sample of the replies
                        request = asked[event.row]
                        if request not in expected:
                            expected[request] = alone(adapted(), request)
                        assert replies[event.row] == expected[request]
        assert_blocks_are_accounted_for(engine)
    statistics = engine.statistics
    assert statistics.finished == kinds["finished"] and statistics.cancelled == kinds["cancelled"]
    assert statistics.preemptions > 50 and kinds["finished"] > 500 and kinds["cancelled"] > 50, "all of it happened"
    assert statistics.cached_tokens > 500
    while engine.busy:
        engine.step()
    assert_blocks_are_accounted_for(engine)
    assert engine.statistics.blocks_free == 14
