"""Prompt lookup against plain greedy decoding, token by token, and the passes that it saves."""

import dataclasses

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from finqa_lab.errors import CourseError
from finqa_lab.nn.cache.contiguous import ContiguousCache
from finqa_lab.nn.generate import Stop, generate
from finqa_lab.nn.observe import count_projections
from finqa_lab.nn.speculative import Lookup, prompt_lookup
from finqa_lab.nn.transformer import Decoder
from tests.nn.cached import GROUPED, SHAPES, model_of

UNTIED = dataclasses.replace(GROUPED, tied=False)


def proposed_by_search(text: list[int], longest: int, count: int) -> list[int]:
    """What `Lookup` promises, by looking through the whole text."""
    for length in range(min(longest, len(text)), 0, -1):
        for end in range(len(text) - 1, length - 1, -1):
            if text[end - length : end] == text[-length:]:
                copy = list(text)
                for step in range(count):
                    copy.append(copy[end + step])
                return copy[len(text) :]
    return []


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 3), max_size=30), st.integers(1, 5), st.integers(0, 9))
def test_proposals_are_the_latest_longest_match(text, longest, count):
    lookup = Lookup(longest)
    lookup.extend(text)
    assert lookup.propose(count) == proposed_by_search(text, longest, count)


def repetitive(seed: int) -> list[int]:
    """A phrase said several times with other tokens in between."""
    generator = torch.Generator().manual_seed(seed)

    def some(low, high):
        count = torch.randint(low, high, (1,), generator=generator)
        return torch.randint(0, GROUPED.vocabulary, (int(count),), generator=generator).tolist()

    phrase = some(2, 6)
    return [token for _ in range(int(torch.randint(1, 5, (1,), generator=generator))) for token in phrase + some(0, 3)]


@pytest.mark.parametrize("shape", [GROUPED, UNTIED, *SHAPES.values()], ids=["tied", "untied", *SHAPES])
def test_tokens_are_those_of_greedy_decoding(shape):
    rejected = 0
    for seed in range(6):
        model = Decoder(shape, seed=seed).eval()
        for draft, longest in ((10, 3), (1, 1), (4, 2)):
            prompt = repetitive(seed)
            stop = Stop(limit=100 if seed % 2 else 23)  # to the end of the context, or to the limit
            expected = generate(model, [prompt], stop)
            with count_projections(model) as counted:
                found = prompt_lookup(model, prompt, stop, draft, longest)
            assert (found.tokens, found.reason) == (expected.tokens[0], expected.reasons[0])
            assert counted.passes == found.passes
            assert counted.fed == len(prompt) + found.proposed + found.passes - 1
            assert found.accepted <= found.proposed <= draft * found.passes
            # a pass gives its accepted tokens and one of its own, unless an accepted one ended the text
            assert found.accepted + found.passes - len(found.tokens) in (0, 1)
            rejected += found.proposed - found.accepted
    assert rejected > 0, "some proposals should be wrong, or cutting the cache is not tested"


@pytest.mark.parametrize("shape", [GROUPED, UNTIED], ids=["tied", "untied"])
def test_every_stop_falls_where_greedy_decoding_has_it(shape):
    for seed in range(8):
        model, prompt = Decoder(shape, seed=seed).eval(), repetitive(seed)
        free = generate(model, [prompt], Stop(limit=30)).tokens[0]
        stops = [Stop(limit=limit) for limit in (1, 2, 7)]
        stops += [Stop(limit=30, tokens=frozenset({free[place]})) for place in (0, 5, 13)]
        stops += [Stop(limit=30, sequences=(tuple(free[place : place + 3]),)) for place in (0, 6, 14)]
        for stop in stops:
            expected = generate(model, [prompt], stop)
            found = prompt_lookup(model, prompt, stop)
            assert (found.tokens, found.reason) == (expected.tokens[0], expected.reasons[0])
            assert found.accepted + found.passes - len(found.tokens) in (0, 1)


def test_a_prompt_that_fills_the_context():
    for length in (62, 63, 64):
        prompt = [3, 4] * 32
        expected = generate(model_of(GROUPED), [prompt[:length]], Stop(limit=9))
        found = prompt_lookup(model_of(GROUPED), prompt[:length], Stop(limit=9))
        assert (found.tokens, found.reason) == (expected.tokens[0], "context")


def test_copying_takes_few_passes():
    """A model built to count 0 1 2 3 4 0 1 ..., after a prompt that has done so once: every proposal is right."""
    model = Decoder(UNTIED).eval().requires_grad_(False)
    for block in model.blocks:
        block.attention.output.weight.zero_()
        block.mlp.down.weight.zero_()
    model.head.weight.zero_()
    model.head.weight[[1, 2, 3, 4, 0]] = model.token_embedding.weight[:5]
    found = prompt_lookup(model, [0, 1, 2, 3, 4, 0], Stop(limit=58), draft=10)
    assert found.tokens == [place % 5 for place in range(1, 59)]
    assert found.passes == 6  # of 11 tokens each, the last of 3
    assert found.proposed == found.accepted == 52


def test_text_that_falls_into_a_loop_takes_fewer_passes():
    """Random decoders with a tied head end up repeating themselves; nothing about the prompt helps here."""
    for seed in range(5):
        found = prompt_lookup(Decoder(GROUPED, seed=seed).eval(), [7, 8, 9], Stop(limit=60))
        assert len(found.tokens) == 60 and found.passes <= 20


def test_without_drafts_it_is_the_plain_loop():
    found = prompt_lookup(model_of(GROUPED), [1, 2, 1, 2], Stop(limit=12), draft=0)
    assert (found.passes, found.proposed, found.accepted) == (12, 0, 0)


def test_the_cache_is_the_one_asked_for_and_cut_behind_the_kept_tokens():
    caches = []

    def make(config, batch, capacity):
        caches.append(ContiguousCache(config, batch, capacity))
        return caches[-1]

    model, prompt = Decoder(UNTIED, seed=1).eval(), repetitive(1)
    found = prompt_lookup(model, prompt, Stop(limit=15), make_cache=make)
    (cache,) = caches
    assert cache.capacity == len(prompt) + 14
    assert found.accepted < found.proposed and cache.length == len(prompt) + 14
    plain = ContiguousCache(UNTIED, 1)
    with torch.inference_mode():
        model(torch.tensor([prompt + found.tokens[:-1]]), cache=plain)
    torch.testing.assert_close(cache.keys, plain.keys[..., : cache.length, :], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(cache.values, plain.values[..., : cache.length, :], rtol=1e-5, atol=1e-5)


def test_wrong_prompts_are_refused():
    with pytest.raises(CourseError, match="prompt 0 is empty"):
        prompt_lookup(model_of(GROUPED), [], Stop(limit=1))
    with pytest.raises(CourseError, match="id 31 at position 1"):
        prompt_lookup(model_of(GROUPED), [1, 31], Stop(limit=1))
