"""Generation beside transformers', against itself without a cache and in other batches, and what it computes."""

import dataclasses
import functools
import itertools

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM

from finqa_lab.errors import CourseError
from finqa_lab.nn.cache.contiguous import ContiguousCache
from finqa_lab.nn.generate import Event, Stop, generate, greedy, stream
from finqa_lab.nn.hub import load_pretrained
from finqa_lab.nn.observe import count_projections
from finqa_lab.nn.sampling import Sampling, row_generators
from finqa_lab.nn.transformer import Decoder
from tests.nn.cached import GROUPED, LATENT, SHAPES, model_of

UNTIED = dataclasses.replace(GROUPED, tied=False)  # with a tied head, greedy decoding soon repeats one token
SIZES = {
    "vocab_size": 61,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 48,
    "max_position_embeddings": 64,
    "initializer_range": 0.3,  # logits far apart, so that rounding decides nothing
    "bos_token_id": None,
    "eos_token_id": None,
}
PEERS = {
    "full": (LlamaConfig, LlamaForCausalLM, {}),
    "window": (MistralConfig, MistralForCausalLM, {"sliding_window": 7}),
}
SAMPLED = Sampling(temperature=0.8, top_k=20, top_p=0.9, seed=11)


@pytest.fixture(scope="module", params=PEERS)
def pair(request, tmp_path_factory):
    """A peer of transformers with random weights, and our decoder with the same ones."""
    make_config, make_model, changes = PEERS[request.param]
    torch.manual_seed(5)
    theirs = make_model(make_config(**SIZES, **changes)).eval()
    folder = tmp_path_factory.mktemp(request.param)
    theirs.save_pretrained(folder)
    return theirs, load_pretrained(folder).model


def prompts_of(*lengths: int, vocabulary: int = GROUPED.vocabulary, seed: int = 0) -> list[list[int]]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(0, vocabulary, (length,), generator=generator).tolist() for length in lengths]


def written_by(theirs, prompts: list[list[int]], new: int, **settings) -> list[list[int]]:
    """The peer's tokens behind every prompt, left-padded; rows that ended are filled with 0."""
    longest = max(map(len, prompts))
    tokens = torch.tensor([[0] * (longest - len(prompt)) + prompt for prompt in prompts])
    mask = torch.tensor([[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts])
    settings = {"max_new_tokens": new, "do_sample": False, "pad_token_id": 0} | settings
    return theirs.generate(tokens, attention_mask=mask, **settings)[:, longest:].tolist()


@pytest.mark.parametrize("length", [1, 5, 30])
def test_one_greedy_row_equals_transformers(pair, length):
    theirs, ours = pair
    prompts = prompts_of(length, vocabulary=61, seed=length)
    assert generate(ours, prompts, Stop(limit=30)).tokens == written_by(theirs, prompts, 30)


def test_a_padded_batch_equals_transformers(pair):
    theirs, ours = pair
    prompts = prompts_of(3, 17, 1, 9, 17, vocabulary=61)
    assert generate(ours, prompts, Stop(limit=40)).tokens == written_by(theirs, prompts, 40)


def test_stop_tokens_equal_transformers(pair):
    theirs, ours = pair
    prompts = prompts_of(3, 17, 1, 9, 17, vocabulary=61)
    free = generate(ours, prompts, Stop(limit=25)).tokens
    ends = {free[0][8], free[1][12]}
    stopped = generate(ours, prompts, Stop(limit=25, tokens=frozenset(ends)))
    expected = written_by(theirs, prompts, 25, eos_token_id=sorted(ends))
    assert len({len(row) for row in stopped.tokens}) > 2, "the rows should end at different steps"
    width = max(map(len, stopped.tokens))
    assert [row + [0] * (width - len(row)) for row in stopped.tokens] == expected


def test_sampled_tokens_equal_transformers_with_the_same_generator(pair):
    theirs, ours = pair
    prompts = prompts_of(9, vocabulary=61)
    torch.manual_seed(row_generators(SAMPLED.seed, 1)[0].initial_seed())
    filters = {name: value for name, value in dataclasses.asdict(SAMPLED).items() if name != "seed"}
    expected = written_by(theirs, prompts, 40, do_sample=True, **filters)
    assert generate(ours, prompts, Stop(limit=40), SAMPLED).tokens == expected
    assert generate(ours, prompts, Stop(limit=40)).tokens != expected


UNEVEN = prompts_of(40, 3, 64, 21, 63, 64, 1)  # of a context of 64: one row after another reaches its end


@pytest.mark.parametrize("sampling", [Sampling(0), SAMPLED], ids=["greedy", "sampled"])
@pytest.mark.parametrize("shape", [*SHAPES.values()], ids=SHAPES)
def test_with_a_cache_as_without(shape, sampling):
    kept, recomputed = (
        generate(model_of(shape), UNEVEN, Stop(limit=30), sampling, use_cache=used) for used in (True, False)
    )
    assert kept == recomputed
    assert kept.reasons == ["context", "limit", "context", "limit", "context", "context", "limit"]
    assert [len(row) for row in kept.tokens] == [25, 30, 1, 30, 2, 1, 30]


@pytest.mark.parametrize("shape", [UNTIED, SHAPES["window and sinks"], LATENT], ids=["full", "window", "latent"])
def test_a_row_does_not_depend_on_the_batch(shape):
    model, stop = model_of(shape), Stop(limit=30)
    together = generate(model, UNEVEN, stop)
    for row, prompt in enumerate(UNEVEN):
        alone = generate(model, [prompt], stop)
        assert (alone.tokens[0], alone.reasons[0]) == (together.tokens[row], together.reasons[row])


@pytest.mark.parametrize("shape", [UNTIED, SHAPES["window and sinks"]], ids=["full", "window"])
def test_a_sampled_row_depends_on_its_place_only(shape):
    model, stop = model_of(shape), Stop(limit=30)
    together = generate(model, UNEVEN, stop, SAMPLED).tokens
    assert generate(model, UNEVEN[:1], stop, SAMPLED).tokens == together[:1]
    others = prompts_of(7, 12, 2, 30, 5, 1, 60, 3, seed=1)
    for row, prompt in enumerate(UNEVEN):
        mixed = others[:row] + [prompt] + others[row + 1 :]
        assert generate(model, mixed, stop, SAMPLED).tokens[row] == together[row]
    twins = generate(model, [UNEVEN[3]] * 3, stop, SAMPLED).tokens
    assert twins[0] != twins[1] != twins[2] != twins[0]


def test_the_stream_runs_a_pass_when_asked():
    model, prompts = model_of(UNTIED), prompts_of(5, 2)
    whole = generate(model, prompts, Stop(limit=6))
    with count_projections(model) as counted:
        steps = stream(model, prompts, Stop(limit=6))
        assert counted.passes == 0
        for passes, step in enumerate(itertools.islice(steps, 2), start=1):
            assert counted.passes == passes
            assert step == [Event(row, whole.tokens[row][passes - 1], None) for row in (0, 1)]
        assert not torch.is_inference_mode_enabled(), "the caller's own computations are not the stream's business"
        steps.close()
        assert counted.passes == 2


def test_rows_that_ended_are_left_out_and_the_last_one_ends_the_stream():
    model, prompts = model_of(UNTIED), prompts_of(5, 2, 9)
    free = generate(model, prompts, Stop(limit=12)).tokens
    stop = Stop(limit=12, tokens=frozenset(free[row][place] for row, place in enumerate((3, 5, 7))))
    ends = [min(map(row.index, stop.tokens & set(row))) + 1 for row in free]
    assert len(set(ends)) > 1 and max(ends) < 12
    with count_projections(model) as counted:
        steps = list(stream(model, prompts, stop))
    assert len(steps) == counted.passes == max(ends)
    assert [[event.row for event in step] for step in steps] == [
        [row for row in range(3) if ends[row] > passes] for passes in range(max(ends))
    ]
    assert generate(model, prompts, stop).tokens == [row[:end] for row, end in zip(free, ends, strict=True)]


def test_every_reason():
    model, (prompt,) = model_of(UNTIED), prompts_of(50)
    free = generate(model, [prompt], Stop(limit=100))
    assert free.reasons == ["context"] and len(free.tokens[0]) == 15  # the last token needs no position
    tokens = free.tokens[0]

    def ended(**changes):
        result = generate(model, [prompt], Stop(**{"limit": 100} | changes))
        assert result.tokens[0] == tokens[: len(result.tokens[0])]
        return result.reasons[0], len(result.tokens[0])

    assert ended(limit=6) == ("limit", 6)
    assert ended(limit=15) == ("limit", 15)
    assert ended(tokens=frozenset({tokens[4]})) == ("stop token", tokens.index(tokens[4]) + 1)
    pairs = list(itertools.pairwise(tokens))
    assert ended(sequences=((30, 30, 30, 29), pairs[5])) == ("stop sequence", pairs.index(pairs[5]) + 2)
    assert ended(sequences=((prompt[-1], tokens[0]),), limit=1) == ("limit", 1)  # the prompt is not the row's writing


def test_only_the_last_position_gets_logits_and_nothing_is_kept_for_gradients():
    model, normed = model_of(UNTIED), []
    hook = model.norm.register_forward_hook(lambda module, inputs, output: normed.append(output))
    generate(model, prompts_of(5, 2), Stop(limit=3))
    hook.remove()
    assert [tuple(x.shape) for x in normed] == [(2, 1, UNTIED.width)] * 3
    assert all(x.is_inference() for x in normed)


@pytest.mark.parametrize("shape", [GROUPED, LATENT], ids=["grouped", "latent"])
def test_projections_are_linear_with_a_cache_and_quadratic_without(shape):
    model, prompts, stop = model_of(shape), prompts_of(7, 4), Stop(limit=5)
    for used, positions in ((True, 7 + 5 - 1), (False, 7 + 8 + 9 + 10 + 11)):
        with count_projections(model) as counted:
            generate(model, prompts, stop, use_cache=used)
        assert (counted.passes, counted.fed, counted.keys) == (5, 2 * positions, [2 * positions] * shape.layers)


def test_counting_ends_with_its_context():
    model, x = model_of(UNTIED), torch.zeros(1, 4, dtype=torch.int64)
    with pytest.raises(KeyError), count_projections(model) as counted:
        model(x)
        raise KeyError
    model(x)
    assert counted.passes == 1 and counted.keys == [4, 4]


def test_caches_are_made_as_asked_and_no_larger_than_needed():
    made = []

    def make(config, batch, capacity):
        made.append((batch, capacity))
        return ContiguousCache(config, batch, capacity)

    model = model_of(UNTIED)
    stop = Stop(limit=10)
    assert generate(model, prompts_of(50, 60, 3), stop, make_cache=make) == generate(model, prompts_of(50, 60, 3), stop)
    # five passes to the end of the context; the two other rows, of 55 and 8 tokens now, are read anew for five more
    assert made == [(3, 64), (2, 59)]


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_the_default_cache_has_the_dtype_of_the_model(dtype):
    model = Decoder(UNTIED).eval().to(dtype)
    tokens = generate(model, prompts_of(6), Stop(limit=4)).tokens
    assert greedy(model, torch.tensor(prompts_of(6)), 4).tolist() == tokens


def test_the_tensor_loop_writes_the_same():
    model, prompts = model_of(UNTIED), prompts_of(*[6] * 20)
    free = generate(model, prompts, Stop(limit=8)).tokens
    stop = free[0][2]
    stopped = generate(model, prompts, Stop(limit=8, tokens=frozenset({stop}))).tokens
    for used in (True, False):
        run = functools.partial(greedy, model, torch.tensor(prompts), 8, use_cache=used)
        assert run().tolist() == free
        assert run(stop=stop).tolist() == [row + [stop] * (8 - len(row)) for row in stopped]


def test_the_tensor_loop_ends_when_all_have_stopped():
    model, prompts = model_of(UNTIED), torch.tensor(prompts_of(6))
    free = greedy(model, prompts, 8)[0].tolist()
    with count_projections(model) as counted:
        greedy(model, prompts, 8, stop=free[2])
    assert counted.passes == free.index(free[2]) + 1


@pytest.mark.parametrize(
    ("prompts", "says"),
    [
        ([], "there is no prompt; give at least one"),
        ([[1], []], "prompt 1 is empty; give it at least one token"),
        ([[1], [2, 3, 31]], "prompt 1: id 31 at position 2 is not in the vocabulary; ids go from 0 to 30"),
        ([[1, -1]], "prompt 0: id -1 at position 1"),
        ([[1] * 64, [1] * 65], "prompt 1 has 65 tokens; the context holds 64: shorten it"),
    ],
)
def test_wrong_prompts_are_refused_at_the_call(prompts, says):
    for run in (stream, generate):
        with pytest.raises(CourseError, match=says):
            run(model_of(UNTIED), prompts, Stop(limit=1))


@pytest.mark.parametrize(
    ("stop", "says"),
    [
        ({"limit": 0}, "the limit of new tokens is 0; it must be a whole number of at least 1"),
        ({"limit": 1.5}, "the limit of new tokens is 1.5"),
        ({"limit": 1, "sequences": ((1, 2), ())}, "a stop sequence is empty"),
        ({"limit": 1, "tokens": frozenset({31})}, "the stop tokens: id 31 at position 0 is not in the vocabulary"),
        ({"limit": 1, "sequences": ((1, 2), (3, 40))}, "stop sequence 1: id 40 at position 1"),
    ],
)
def test_wrong_stops_are_refused(stop, says):
    with pytest.raises(CourseError, match=says):
        stream(model_of(UNTIED), [[1]], Stop(**stop))
