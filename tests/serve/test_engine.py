"""The engine gives every request what it would get alone, whatever else is in the batch."""

import dataclasses

import pytest
import torch

from finqa_lab.errors import CourseError
from finqa_lab.nn.config import LatentConfig
from finqa_lab.nn.generate import Stop
from finqa_lab.nn.rope_scaling import RopeScaling
from finqa_lab.nn.sampling import Sampling
from finqa_lab.nn.transformer import Decoder
from finqa_lab.serve.engine import Engine, EngineSettings, complete
from finqa_lab.serve.request import Overloaded, Request
from tests.serve.engines import LEARNED, SHAPE, adapted, alone, decoder, prompts, requests

SETTINGS = {
    "roomy": EngineSettings(),
    "one at a time": EngineSettings(batch=1),
    "small chunks": EngineSettings(batch=3, step_tokens=3, block_size=4),
    "too few blocks for all": EngineSettings(blocks=13, block_size=8, batch=8, step_tokens=20),
    "blocks of one position": EngineSettings(blocks=140, block_size=1, batch=5, step_tokens=16),
    "no prefix cache": EngineSettings(blocks=20, block_size=4, batch=6, step_tokens=11, prefix_cache=False),
}


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
@pytest.mark.parametrize("shape", [SHAPE, LEARNED], ids=["rotary", "learned positions"])
def test_greedy_replies_are_those_of_one_request_alone(settings, shape):
    model, asked = decoder(shape), requests(14)
    assert complete(Engine(model, settings), asked) == [alone(model, request) for request in asked]


def test_sampled_replies_are_those_of_one_request_alone():
    asked = [
        Request(prompt, Stop(10), Sampling(temperature=0.8 + 0.1 * (seed % 3), top_k=20, top_p=0.9, seed=seed))
        for seed, prompt in enumerate(prompts(9))
    ]
    asked += requests(3, seed=5)  # greedy ones among them
    settings = SETTINGS["too few blocks for all"]
    engine = Engine(decoder(), settings)
    assert complete(engine, asked) == [alone(decoder(), request) for request in asked]
    assert engine.statistics.preemptions > 0


def test_adapters_share_a_batch_and_the_prefix_cache_keeps_them_apart():
    prompt = tuple(range(3, 43))
    names = [None, "red", "blue", "red", None, "blue"]
    asked = [Request(prompt, Stop(8), adapter=name) for name in names]
    engine = Engine(adapted(), EngineSettings(block_size=4, step_tokens=64))
    expected = [alone(adapted(), request) for request in asked]
    assert complete(engine, asked) == expected
    assert complete(engine, asked) == expected, "the second time from the prefix cache"
    assert engine.statistics.cached_tokens >= 6 * 36
    assert len({tuple(reply) for reply in expected}) == 3, "the adapters make a difference"


def test_requests_that_come_between_steps_join_the_batch():
    engine, asked, replies = Engine(decoder(), SETTINGS["small chunks"]), requests(8), {}
    queue = list(asked)
    while queue or engine.busy:
        if queue:
            replies[engine.add(queue.pop(0))] = []
        for event in engine.step() + engine.step():
            replies[event.row].append(event.token)
    assert list(replies.values()) == [alone(decoder(), request) for request in asked]


def test_a_step_keeps_to_its_sizes_and_everyone_who_decodes_takes_part():
    engine = Engine(decoder(), EngineSettings(batch=4, step_tokens=9, block_size=4))
    run, seen = engine.runner.run, []

    def watched(work):
        seen.append([(part.sequence.number, part.new) for part in work])
        decoding = {one.number for one in engine.scheduler.running if one.uncomputed == 1}
        assert decoding <= {part.sequence.number for part in work}
        return run(work)

    engine.runner.run = watched
    complete(engine, requests(10))
    assert max(len(step) for step in seen) == 4
    assert max(sum(new for _, new in step) for step in seen) == 9
    assert any({1} < {new for _, new in step} for step in seen), "chunks beside decoding"


def test_a_prompt_seen_before_is_not_computed_again():
    engine = Engine(decoder(), EngineSettings(block_size=4))
    prompt = prompts(1, seed=9)[0][:30] + tuple(range(31))
    first, again = Request(prompt, Stop(3)), Request(prompt + (7,), Stop(3))
    complete(engine, [first])
    before = engine.statistics.computed_tokens
    number, events = engine.add(again), []
    while engine.busy:
        events += engine.step()
    shared = len(prompt) // 4 * 4
    assert engine.statistics.computed_tokens - before == len(prompt) + 1 - shared + 2
    assert {(event.row, event.cached) for event in events} == {(number, shared)}


def test_a_reply_can_be_continued_from_the_cache():
    engine = Engine(decoder(), EngineSettings(block_size=4))
    prompt = prompts(1, seed=2)[0]
    [reply] = complete(engine, [Request(prompt, Stop(20))])
    before = engine.statistics.cached_tokens
    complete(engine, [Request(prompt + tuple(reply) + (5,), Stop(1))])
    assert engine.statistics.cached_tokens - before == (len(prompt) + len(reply) - 1) // 4 * 4


def test_the_end_of_the_context_ends_a_reply():
    engine = Engine(decoder(), EngineSettings(batch=2))
    prompt = (prompts(1, seed=1)[0] * 96)[:90]
    [reply] = complete(engine, [Request(prompt, Stop(50))])
    assert reply == alone(decoder(), Request(prompt, Stop(50)))
    assert len(reply) == SHAPE.context - 90 + 1


def test_stop_tokens_and_sequences_end_a_reply():
    [plain] = requests(1, limit=20)
    reply = alone(decoder(), plain)
    for stop in (Stop(20, frozenset({reply[4]})), Stop(20, sequences=(tuple(reply[3:6]),))):
        request = dataclasses.replace(plain, stop=stop)
        assert complete(Engine(decoder()), [request]) == [alone(decoder(), request)]
        assert len(alone(decoder(), request)) < 20


def test_events_say_how_long_a_request_waited():
    now = [10.0]
    engine = Engine(decoder(), EngineSettings(batch=1), clock=lambda: now[0])
    first, second = (engine.add(request) for request in requests(2, limit=1))
    now[0] = 12.5
    assert [(event.row, event.waited) for event in engine.step()] == [(first, 2.5)]
    now[0] = 14.0
    assert [(event.row, event.waited) for event in engine.step()] == [(second, 4.0)]


def test_a_full_queue_refuses_the_next_request_and_counts_it():
    engine = Engine(decoder(), EngineSettings(waiting=3))
    for request in requests(3):
        engine.add(request)
    with pytest.raises(Overloaded, match="queue is full .3 requests wait."):
        engine.add(requests(1)[0])
    engine.step()
    engine.add(requests(1)[0])
    assert engine.statistics.refused == 1


@pytest.mark.parametrize(
    "request_, message",
    [
        (Request((), Stop(3)), "prompt 0 is empty"),
        (Request((1,) * 97, Stop(3)), "97 tokens; the context holds 96"),
        (Request((1, 61), Stop(3)), "id 61 at position 1"),
        (Request((1,), Stop(3, frozenset({99}))), "the stop tokens: id 99"),
        (Request((1,), Stop(3), adapter="green"), "no adapter 'green'; the model has none"),
        (Request((1,) * 40, Stop(30)), "may grow to 69 positions and the engine holds 64"),
    ],
)
def test_a_request_that_cannot_be_served_is_refused(request_, message):
    engine = Engine(decoder(), EngineSettings(blocks=8, block_size=8))
    with pytest.raises(CourseError, match=message):
        engine.add(request_)
    assert not engine.busy


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"batch": 0}, "batch is 0"),
        ({"blocks": True}, "blocks is True"),
        ({"step_tokens": 8}, "a step of 8 tokens is too small for a batch of 16"),
    ],
)
def test_sizes_that_cannot_work_are_refused(changes, message):
    with pytest.raises(CourseError, match=message):
        EngineSettings(**changes)


@pytest.mark.parametrize(
    "changes, name",
    [
        ({"kv_heads": 0, "latent": LatentConfig(8, 4)}, "latent"),
        ({"window": 8}, "window"),
        ({"rope_scaling": RopeScaling("dynamic", 2.0, 48)}, "dynamic rope scaling"),
    ],
)
def test_a_model_that_the_paged_pass_cannot_run_is_refused(changes, name):
    model = Decoder(dataclasses.replace(SHAPE, **changes))
    with pytest.raises(CourseError, match=f"does not serve a model with {name}"):
        Engine(model)


def test_a_step_of_an_idle_engine_does_nothing():
    engine = Engine(decoder())
    assert engine.step() == [] and engine.statistics.steps == 0


def test_a_grammar_is_followed_in_a_mixed_batch():
    class OddThenEven:
        """Odd and even tokens in turn; state 0 wants an odd one."""

        start = 0

        def allowed(self, state):
            return torch.arange(SHAPE.vocabulary) % 2 == (1 - state)

        def step(self, state, token):
            return 1 - state

    free, bound = requests(2, limit=9)
    bound = dataclasses.replace(bound, grammar=OddThenEven())
    sampled = dataclasses.replace(bound, sampling=Sampling(temperature=2.0, seed=1))
    replies = complete(Engine(decoder(), EngineSettings(blocks=14, block_size=8)), [free, bound, sampled, free])
    assert replies[0] == replies[3] == alone(decoder(), free)
    for reply in replies[1:3]:
        assert [token % 2 for token in reply] == [1, 0, 1, 0, 1, 0, 1, 0, 1]
    assert replies[1] != replies[2]
