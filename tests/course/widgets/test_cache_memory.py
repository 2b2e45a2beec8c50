"""The cache calculator: the library's bytes, whole sequences on a card, and no way to get less for more."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finqa_lab.course.widgets import cache_memory
from finqa_lab.course.widgets.cache_memory import GIB, NUMBER_TYPES, cache_use, shape_of
from finqa_lab.errors import CourseError
from finqa_lab.nn.cache.memory import PRESETS, cache_bytes, int8_cache_bytes

EIGHT = shape_of("Llama-3.1-8B")
SETTING = EIGHT | {"context": 8192, "batch": 1, "number_type": "bfloat16", "weight_bits": 16, "card": 24}


def test_the_bytes_of_every_listed_model_are_those_of_its_own_configuration():
    for model in cache_memory.MODELS:
        use = cache_use(**SETTING | shape_of(model) | {"context": 1000, "batch": 3})
        assert use.cache == cache_bytes(PRESETS[model].config, 1000, 3)
        use = cache_use(**SETTING | shape_of(model) | {"number_type": "int8 with scales"})
        assert use.cache == int8_cache_bytes(PRESETS[model].config, 8192)
        assert use.weights == pytest.approx(2 * PRESETS[model].parameters, rel=1e-3)


def test_the_numbers_of_the_chapter():
    use = cache_use(**SETTING)
    assert (use.a_token, use.a_sequence / GIB, use.most_sequences) == (131_072, 1.0, 9)
    assert round(use.weights / GIB, 2) == 14.96
    assert cache_use(**SETTING | {"number_type": "int8 with scales"}).most_sequences == 17
    assert cache_use(**SETTING | {"weight_bits": 4}).most_sequences == 20
    assert cache_use(**SETTING | shape_of("Llama-2-7B")).most_sequences == 2


@given(
    batch=st.integers(1, 64),
    context=st.integers(1, 200_000),
    kind=st.sampled_from(sorted(NUMBER_TYPES)),
    card=st.floats(1, 200),
    grown=st.sampled_from(["layers", "kv_heads", "head_size", "context", "batch", "billions", "weight_bits"]),
)
def test_more_of_anything_takes_more_and_leaves_no_more_room(batch, context, kind, card, grown):
    setting = SETTING | {"batch": batch, "context": context, "number_type": kind, "card": card}
    small, large = cache_use(**setting), cache_use(**setting | {grown: 2 * setting[grown]})
    assert large.total > small.total
    assert large.most_sequences <= small.most_sequences and large.most_tokens <= small.most_tokens


@given(batch=st.integers(1, 64), context=st.integers(1, 200_000), card=st.floats(1, 200))
def test_what_is_said_to_fit_fits_and_one_more_does_not(batch, context, card):
    setting = SETTING | {"batch": batch, "context": context, "card": card}
    most = cache_use(**setting).most_sequences
    if most:
        assert cache_use(**setting | {"batch": most}).fits
    assert not cache_use(**setting | {"batch": most + 1}).fits


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"number_type": "int3"}, "choose one of float32"),
        ({"batch": 0}, "must be above 0"),
        ({"card": float("nan")}, "must be above 0"),
        ({"layers": 0}, "layers is 0"),
        ({"kv_heads": 0}, "is 0"),
    ],
)
def test_a_setting_that_makes_no_sense_is_one_sentence(change, said):
    with pytest.raises(CourseError, match=said):
        cache_memory.draw(**SETTING | change)


def test_the_answer_says_by_how_much_it_does_not_fit():
    drawing = cache_memory.draw(**SETTING | {"batch": 32})
    assert "23.0 GiB too much" in drawing.above and "23.0 GiB too much" in drawing.alt


def test_choosing_a_model_fills_in_its_shape():
    panel = cache_memory.widget()
    fields = {child.description: child for child in panel.children[:-1]}
    fields["shape of"].value = "Gemma-2B"
    assert (fields["layers"].value, fields["key/value heads"].value, fields["head size"].value) == (18, 1, 256)
    assert fields["parameters, 10^9"].value == 2.506
    assert "18,432 bytes" in panel.children[-1].value
