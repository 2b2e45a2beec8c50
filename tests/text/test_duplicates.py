"""Near duplicates: signatures estimate the sets, bands find what their formula promises, nothing is invented."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from finqa_lab.errors import CourseError
from finqa_lab.text import duplicates

WORDS = st.lists(st.sampled_from("net sales rose fell 2019 2020 million".split()), min_size=1, max_size=12)


def sets_of_similarity(shared: int, own: int, draws: random.Random) -> tuple[frozenset, frozenset]:
    elements = [str(draws.random()) for _ in range(shared + 2 * own)]
    return frozenset(elements[: shared + own]), frozenset(elements[:shared] + elements[shared + own :])


def test_a_signature_estimates_the_similarity_within_four_standard_errors():
    draws = random.Random(0)
    for shared, own in ((90, 5), (50, 25), (10, 45), (0, 50)):
        pair = sets_of_similarity(shared, own, draws)
        signed = duplicates.signatures(pair, count=1024)
        similarity = duplicates.jaccard(*pair)
        error = 4 * (similarity * (1 - similarity) / 1024) ** 0.5 + 1e-9
        assert abs(np.mean(signed[0] == signed[1]) - similarity) <= error


def test_bands_find_pairs_as_often_as_the_formula_says():
    draws = random.Random(1)
    pairs = [sets_of_similarity(60, 20, draws) for _ in range(400)]
    signed = duplicates.signatures([one for pair in pairs for one in pair], count=128)
    found = duplicates.candidates(signed, bands=16)
    share = sum((2 * place, 2 * place + 1) in found for place in range(400)) / 400
    expected = duplicates.chance(0.6, bands=16, rows=8)
    assert abs(share - expected) < 4 * (expected * (1 - expected) / 400) ** 0.5


def test_signatures_are_the_same_in_every_process_and_another_seed_gives_others():
    sets = [duplicates.shingles("net sales rose by 4% in 2019")]
    assert duplicates.signatures(sets, 4).tolist() == [SIGNATURE]
    assert duplicates.signatures(sets, 4, seed=1).tolist() != [SIGNATURE]


SIGNATURE = [1007109202, 8880847, 39669395, 219396440]


@given(st.lists(WORDS.map(" ".join), max_size=8), st.sampled_from([1, 2, 5]))
def test_every_found_pair_is_as_similar_as_it_says_and_copies_are_always_found(texts, size):
    found = duplicates.near_duplicates(texts, 0.5, size, count=32, bands=8)
    for first, second, similarity in found:
        exact = duplicates.jaccard(duplicates.shingles(texts[first], size), duplicates.shingles(texts[second], size))
        assert similarity == exact >= 0.5 and first < second
    pairs = {(first, second) for first, second, _ in found}
    for first, text in enumerate(texts):
        for second in range(first + 1, len(texts)):
            assert (first, second) in pairs or text != texts[second]


@given(st.lists(WORDS.map(" ".join), max_size=5), st.lists(WORDS.map(" ".join), max_size=5))
def test_the_closest_text_is_the_one_that_trying_all_finds(texts, others):
    for text, (place, similarity) in zip(texts, duplicates.closest(texts, others, 2)):
        own = duplicates.shingles(text, 2)
        every = [duplicates.jaccard(own, duplicates.shingles(other, 2)) for other in others]
        assert similarity == max(every, default=0.0)
        assert place == (every.index(similarity) if similarity else -1)


def test_texts_without_words_are_in_no_pair():
    assert duplicates.near_duplicates(["...", "!", "a b", "a b"]) == [(2, 3, 1.0)]
    assert duplicates.closest(["..."], ["!"]) == [(-1, 0.0)]


def test_wrong_settings_are_refused_in_one_sentence():
    with pytest.raises(CourseError, match="equal bands"):
        duplicates.near_duplicates(["a", "b"], count=10, bands=3)
    with pytest.raises(CourseError, match="0 words"):
        duplicates.shingles("a", 0)
    with pytest.raises(CourseError, match="set 1 is empty"):
        duplicates.signatures([frozenset("a"), frozenset()])
