"""Checks of counting pairs, merging and training."""

import random
from collections import Counter
from collections.abc import Iterator

from finqa_lab.course.checking import Case, Check, WrongAnswer, register
from finqa_lab.text.recount import best_pair, count_pairs, merge, train_by_recount


def _sequences(rng: random.Random, count: int) -> Iterator[list[int]]:
    for size in range(3, 3 + count):
        yield [rng.randint(1, 3) for _ in range(size)]


def _count_cases(rng: random.Random) -> Iterator[Case]:
    yield Case([], note="nothing to count")
    yield Case([5], note="one id has no neighbour")
    yield Case([1, 2])
    yield Case([1, 2, 1], note="(1, 2) and (2, 1) are different pairs")
    yield Case([7, 7, 7], note="overlapping pairs all count")
    yield from map(Case, _sequences(rng, 6))


register(
    Check(
        name="tokenizers.count_pairs",
        task="count each pair of neighbours, overlapping ones too",
        cases=_count_cases,
        oracle=lambda ids: dict(count_pairs(ids)),
        why="the counts decide every merge, so one wrong count gives another vocabulary.",
        hint="walk over ids[0], ids[1]; ids[1], ids[2]; ... and add 1 for each tuple.",
        wrong=[
            WrongAnswer(
                "disjoint",
                lambda ids: dict(Counter(zip(ids[::2], ids[1::2]))),
                "you count only every second pair; the pairs at positions 1-2, 3-4, ... are neighbours as well.",
            ),
            WrongAnswer(
                "unordered",
                lambda ids: dict(Counter(tuple(sorted(pair)) for pair in zip(ids, ids[1:]))),
                "(1, 2) and (2, 1) are different pairs: order is what makes 'th' another token than 'ht'.",
            ),
            WrongAnswer(
                "last-missing",
                lambda ids: dict(Counter(zip(ids[:-1], ids[1:-1]))),
                "the last pair is missing; the last left neighbour is ids[-2].",
            ),
            WrongAnswer(
                "once-each",
                lambda ids: dict.fromkeys(zip(ids, ids[1:]), 1),
                "each pair has count 1 in your answer; add to what is there already.",
            ),
            WrongAnswer(
                "one-less",
                lambda ids: {pair: n - 1 for pair, n in count_pairs(ids).items()},
                "every count is one too small: the first time you meet a pair counts as well, so start it at 1.",
            ),
        ],
    )
)


def _overlapping_merge(ids, pair, new_id):
    out, i = [], 0
    while i < len(ids):
        if tuple(ids[i : i + 2]) == pair:
            out.append(new_id)
            i += 1 if tuple(ids[i + 1 : i + 3]) == pair else 2
        else:
            out.append(ids[i])
            i += 1
    return out


def _merge_from_the_right(ids, pair, new_id):
    return merge(list(ids)[::-1], pair[::-1], new_id)[::-1]


def _merge_first_only(ids, pair, new_id):
    for i, found in enumerate(zip(ids, ids[1:])):
        if found == pair:
            return [*ids[:i], new_id, *ids[i + 2 :]]
    return list(ids)


def _merge_one_step(ids, pair, new_id):
    return [new_id if ids[i : i + 2] == list(pair) else ids[i] for i in range(len(ids))]


def _merge_losing_the_last(ids, pair, new_id):
    out, i = [], 0
    while i < len(ids) - 1:
        joined = (ids[i], ids[i + 1]) == pair
        out.append(new_id if joined else ids[i])
        i += 2 if joined else 1
    return out


def _merge_cases(rng: random.Random) -> Iterator[Case]:
    yield Case([], (1, 2), 9, note="nothing to merge")
    yield Case([1, 2], (1, 2), 9)
    yield Case([1, 2, 3], (1, 2), 9, note="the last id stays")
    yield Case([1, 2, 1, 2], (1, 2), 9, note="each occurrence is merged")
    yield Case([1, 1, 1], (1, 1), 9, note="from left to right, without overlap")
    yield Case([1, 1, 1, 1, 1], (1, 1), 9)
    for ids in _sequences(rng, 8):
        yield Case(ids, (1, rng.randint(1, 2)), 9)


register(
    Check(
        name="tokenizers.merge",
        task="replace each occurrence of a pair by a new id, left to right and without overlap",
        cases=_merge_cases,
        oracle=merge,
        why="training and encoding must merge in the same way, or the model meets ids it was never trained on.",
        hint="keep a position; at a match append new_id and step over two ids, else append the id and step over one.",
        wrong=[
            WrongAnswer(
                "overlapping",
                _overlapping_merge,
                "in [1, 1, 1] the pair (1, 1) fits twice, but the middle id can be used once: the result is [9, 1].",
            ),
            WrongAnswer(
                "from-the-right",
                _merge_from_the_right,
                "you merge from the right: [1, 1, 1] must give [9, 1], not [1, 9].",
            ),
            WrongAnswer("first-only", _merge_first_only, "you stop after the first occurrence; go on to the end."),
            WrongAnswer(
                "last-lost",
                _merge_losing_the_last,
                "an id after the last pair disappears; the loop must also visit the last position.",
            ),
            WrongAnswer(
                "never",
                lambda ids, pair, new_id: list(ids),
                "nothing is ever merged. A list never equals a tuple: ids[i:i+2] == pair is always False; compare "
                "(ids[i], ids[i+1]) with pair.",
            ),
            WrongAnswer(
                "one-step",
                _merge_one_step,
                "the second id of a merged pair is still there; after a match step over both ids.",
            ),
        ],
    )
)


def _train_with(choose, weighted=True, joined=False, first=256):
    def train(words, merges):
        sequences = [(list(word), count if weighted else 1) for word, count in words.items()]
        if joined:
            sequences = [([i for ids, n in sequences for _ in range(n) for i in ids], 1)]
        learned = []
        for new_id in range(first, first + merges):
            counts = Counter()
            for ids, n in sequences:
                count_pairs(ids, n, counts)
            if not counts:
                break
            learned.append(choose(counts))
            sequences = [(merge(ids, learned[-1], new_id), n) for ids, n in sequences]
        return learned

    return train


def _train_without_recount(words, merges):
    counts = Counter()
    for word, n in words.items():
        count_pairs(list(word), n, counts)
    return sorted(counts, key=lambda pair: (-counts[pair], pair))[:merges]


def _train_cases(rng: random.Random) -> Iterator[Case]:
    yield Case({b"ab": 1}, 1)
    yield Case({b"a": 3}, 2, note="a word of one byte has no pair, so nothing is learned")
    yield Case({b"ab": 1}, 5, note="after one merge no pair is left")
    yield Case({b"cd": 1, b"ab": 1}, 1, note="a tie: the smaller pair of ids wins")
    yield Case({b"xy": 5, b"ab": 2, b"ac": 1}, 2, note="a word with count 5 counts five times")
    yield Case({b"ba": 3, b"ab": 2}, 3, note="no pair crosses the end of a word")
    yield Case({b"low": 5, b"lower": 2, b"newest": 6, b"widest": 3}, 8)
    for _ in range(4):
        words = {"".join(rng.choices("abc", k=rng.randint(1, 7))).encode(): rng.randint(1, 4) for _ in range(5)}
        yield Case(words, 6)


register(
    Check(
        name="tokenizers.train",
        task="learn merges from weighted words, highest count first, ties to the smallest pair",
        cases=_train_cases,
        oracle=train_by_recount,
        why="two trainers that break ties differently give vocabularies whose ids mean different text.",
        hint="count pairs weighted by each word's count, choose by (-count, pair), merge it in every word, repeat.",
        wrong=[
            WrongAnswer(
                "unweighted",
                _train_with(best_pair, weighted=False),
                "a word that occurs 5 times adds 5 to each of its pairs; you add 1.",
            ),
            WrongAnswer(
                "first-seen-tie",
                _train_with(lambda counts: counts.most_common(1)[0][0]),
                "among equal counts you take the pair that was seen first; the rule is the smallest pair, so that "
                "the order of the words does not matter.",
            ),
            WrongAnswer(
                "largest-tie",
                _train_with(lambda counts: max(counts, key=lambda pair: (counts[pair], pair))),
                "among equal counts you take the largest pair; max over (count, pair) does that. Negate the count "
                "and use min.",
            ),
            WrongAnswer(
                "across-words",
                _train_with(best_pair, joined=True),
                "you joined the words into one sequence, so pairs cross from one word to the next.",
            ),
            WrongAnswer(
                "no-recount",
                _train_without_recount,
                "all your merges join single bytes: count again after each merge, with the new id in place.",
            ),
            WrongAnswer(
                "from-257",
                _train_with(best_pair, first=257),
                "your new ids are one too high: the bytes are 0 to 255, so the first merge makes id 256.",
            ),
        ],
    )
)
