"""Checks of lab 13: who takes part in a step, who makes way, and what is computed again."""

import random
from collections.abc import Iterator

from finqa_lab.course.checking import Case, Check, WrongAnswer, register

Pending = list[tuple[str, int]]  # name, tokens that are not computed yet


def _plan(running: Pending, waiting: Pending, batch: int, budget: int, **wrong) -> Pending:
    order = list(running) if wrong.get("by_arrival") else sorted(running, key=lambda one: one[1] > 1)
    if wrong.get("prompts_first"):
        order = sorted(running, key=lambda one: one[1] == 1)
    free = batch - (0 if wrong.get("batch_of_newcomers") else len(running))
    if wrong.get("no_bound"):
        free = len(waiting)
    if wrong.get("static") and running:
        free = 0
    newcomers = sorted(waiting, key=lambda one: one[1]) if wrong.get("shortest_first") else waiting
    queue = [*order, *newcomers[: max(0, free)]]
    if wrong.get("newcomers_before_chunks"):
        decoding = [one for one in order if one[1] == 1]
        queue = decoding + queue[len(order) :] + [one for one in order if one[1] > 1]
    if wrong.get("shortest_chunk_first"):
        queue = sorted(order, key=lambda one: one[1]) + queue[len(order) :]
    if wrong.get("one_each"):
        queue = [(name, 1) for name, _ in order] + queue[len(order) :]
    work = []
    for name, left in queue:
        new = min(left, budget)
        if wrong.get("whole_prompts"):
            new = left if left <= budget else 0
        if wrong.get("no_budget"):
            new = left
        if wrong.get("budget_each"):
            work.append((name, min(left, budget)))
            continue
        if new or wrong.get("zeros_kept"):
            work.append((name, new))
            budget -= new
    return work


def plan_cases(rng: random.Random) -> Iterator[Case]:
    """Running and waiting sequences with what each has to compute, and the two bounds of a step."""
    yield Case([("a", 1), ("b", 1)], [], 4, 8, note="two that decode")
    yield Case([], [("a", 5)], 4, 8, note="a prompt that fits")
    yield Case([], [("a", 20)], 4, 8, note="a prompt that is longer than the step")
    yield Case([("a", 6), ("b", 1)], [], 4, 5, note="a prompt that is being read came before one that decodes")
    yield Case([("a", 1)], [("b", 3), ("c", 2)], 2, 8, note="one place is free")
    yield Case([("a", 1)], [("b", 9), ("c", 2)], 4, 6, note="the budget ends inside the first newcomer")
    yield Case([("a", 1)], [("b", 3), ("c", 2)], 4, 16, note="room for everyone")
    yield Case([("a", 1), ("b", 1)], [("c", 4)], 2, 8, note="no place is free")
    yield Case([("a", 1)], [(name, 2) for name in "bcde"], 3, 16, note="two places are free")
    yield Case([("a", 6)], [("b", 3)], 4, 8, note="a chunk of one that runs, then a newcomer")
    yield Case([("a", 9), ("b", 3)], [], 4, 8, note="two prompts are being read, the longer came first")
    for _ in range(6):
        running = [(f"r{i}", rng.choice([1, 1, rng.randint(2, 9)])) for i in range(rng.randint(0, 4))]
        waiting = [(f"w{i}", rng.randint(1, 12)) for i in range(rng.randint(0, 4))]
        yield Case(running, waiting, rng.randint(4, 6), rng.randint(6, 16))


register(
    Check(
        name="serving.plan_step",
        task="which sequences take part in the next step, and with how many tokens",
        cases=plan_cases,
        oracle=_plan,
        why="who is left out of a step waits; who takes too much of it makes all others wait.",
        hint="first those that decode, one token each; then prompts that are being read; then newcomers, while places "
        "and budget last; nobody gets more than what is left of the budget.",
        wrong=[
            WrongAnswer(
                "by arrival alone",
                lambda *a: _plan(*a, by_arrival=True),
                "a prompt that came earlier must not take the budget away from those that decode: serve those with "
                "one token left first.",
            ),
            WrongAnswer(
                "prompts before decoding",
                lambda *a: _plan(*a, prompts_first=True),
                "that is the order of the first engines: every new prompt makes all running replies stall.",
            ),
            WrongAnswer(
                "whole prompts only",
                lambda *a: _plan(*a, whole_prompts=True),
                "a prompt that does not fit is read in chunks: give it what is left of the budget.",
            ),
            WrongAnswer(
                "no budget",
                lambda *a: _plan(*a, no_budget=True),
                "the budget bounds the tokens of the whole step; count it down.",
            ),
            WrongAnswer(
                "the budget for each",
                lambda *a: _plan(*a, budget_each=True),
                "the budget is that of the step, not of each sequence: subtract what was given away.",
            ),
            WrongAnswer(
                "no bound on sequences",
                lambda *a: _plan(*a, no_bound=True),
                "at most `batch` sequences run at a time; those that run already count.",
            ),
            WrongAnswer(
                "places counted for newcomers alone",
                lambda *a: _plan(*a, batch_of_newcomers=True),
                "those that run take places of the batch, too: batch - len(running) are free.",
            ),
            WrongAnswer(
                "a static batch",
                lambda *a: _plan(*a, static=True),
                "newcomers need not wait until the batch is empty: that is the point of continuous batching.",
            ),
            WrongAnswer(
                "short prompts first",
                lambda *a: _plan(*a, shortest_first=True),
                "first come, first served: with the shortest first, a long prompt may never be read.",
            ),
            WrongAnswer(
                "short chunks first",
                lambda *a: _plan(*a, shortest_chunk_first=True),
                "among prompts that are being read, the order is that of arrival, not of what is left.",
            ),
            WrongAnswer(
                "newcomers before chunks",
                lambda *a: _plan(*a, newcomers_before_chunks=True),
                "a prompt that is being read comes before those that still wait: its blocks are held already.",
            ),
            WrongAnswer(
                "one token for everyone who runs",
                lambda *a: _plan(*a, one_each=True),
                "one token is for those that decode; who still reads a prompt gets what is left of the budget.",
            ),
            WrongAnswer(
                "nothing for some",
                lambda *a: _plan(*a, zeros_kept=True),
                "who gets no token is not in the plan: leave out pairs with 0.",
            ),
        ],
    )
)


def _victims(running: list[tuple[str, int, bool]], free: int, **wrong) -> list[str]:
    running, gone = list(running), []
    if wrong.get("count_missing"):
        missing = sum(needs for _, _, needs in running) - free
        return [name for name, _, _ in reversed(running)][: max(0, missing)]
    if wrong.get("all_who_need"):
        for name, _, needs in running:
            if needs and free:
                free -= 1
            elif needs:
                gone.append(name)
        return gone
    for one in list(running)[:: -1 if wrong.get("newest_served_first") else 1]:
        if one not in running or not one[2]:
            continue
        while not free and one in running:
            index = 0 if wrong.get("oldest") else len(running) - 1
            if wrong.get("largest"):
                index = max(range(len(running)), key=lambda i: (running[i][1], i))
            if wrong.get("never_itself") and running[index] == one:
                if len(running) == 1:
                    break
                index -= 1
            victim = running.pop(index)
            gone.append(victim[0])
            free += 1 if wrong.get("one_block_back") else victim[1]
        if one in running and not wrong.get("taken_for_nothing"):
            free -= 1
    return gone


def room_cases(rng: random.Random) -> Iterator[Case]:
    """Running sequences (name, blocks held, whether a new block is needed) by arrival, and free blocks."""
    yield Case([("a", 2, True), ("b", 3, False)], 1, note="one block is free")
    yield Case([("a", 2, True), ("b", 3, False)], 0, note="none is free")
    yield Case([("a", 2, False), ("b", 3, True)], 0, note="the newest needs it")
    yield Case([("a", 2, True), ("b", 1, True), ("c", 3, False)], 0, note="the blocks of one are enough for two")
    yield Case([("a", 2, True), ("b", 1, True), ("c", 1, True)], 0)
    yield Case([("a", 2, True), ("b", 2, True), ("c", 1, True)], 1, note="one free block, and three that need one")
    yield Case([("a", 5, False), ("b", 2, True), ("c", 1, False)], 0, note="the oldest holds most")
    yield Case([("a", 2, True), ("b", 4, True), ("c", 1, False), ("d", 2, True)], 1)
    for _ in range(5):
        count = rng.randint(3, 6)
        yield Case([(f"s{i}", rng.randint(1, 4), rng.random() < 0.7) for i in range(count)], rng.randint(0, 2))


register(
    Check(
        name="serving.make_room",
        task="who gives up all blocks so that everyone else has room for the next token",
        cases=room_cases,
        oracle=_victims,
        why="without a fixed victim two sequences can take blocks from each other for ever; the oldest always ends.",
        hint="serve the oldest first; while no block is free, the newest that still runs gives all of its own back.",
        wrong=[
            WrongAnswer(
                "the oldest makes way",
                lambda *a: _victims(*a, oldest=True),
                "the one that came first is nearest to its end: take the newest.",
            ),
            WrongAnswer(
                "the largest makes way",
                lambda *a: _victims(*a, largest=True),
                "the largest is often the oldest, and most work would be done again: take the newest.",
            ),
            WrongAnswer(
                "one block given back",
                lambda *a: _victims(*a, one_block_back=True),
                "a victim gives back all of its blocks; those who come next may need no victim any more.",
            ),
            WrongAnswer(
                "one victim for each missing block",
                lambda *a: _victims(*a, count_missing=True),
                "a victim no longer needs a block itself, and gives back more than one.",
            ),
            WrongAnswer(
                "those who need one and find none",
                lambda *a: _victims(*a, all_who_need=True),
                "an older sequence must not lose its place to a newer one that happens to need nothing now.",
            ),
            WrongAnswer(
                "never itself",
                lambda *a: _victims(*a, never_itself=True),
                "when the one that needs a block is itself the newest, it is the one that makes way.",
            ),
            WrongAnswer(
                "the newest served first",
                lambda *a: _victims(*a, newest_served_first=True),
                "serve the oldest first: a block that the newest takes is lost with it when it makes way.",
            ),
            WrongAnswer(
                "blocks that are never used up",
                lambda *a: _victims(*a, taken_for_nothing=True),
                "who needs a block takes one of the free ones: count them down.",
            ),
        ],
    )
)


def _recomputed(prompt: int, reply: int, shared: int, **wrong) -> int:
    total = prompt if wrong.get("prompt_only") else prompt + reply
    if wrong.get("reply_only"):
        total = reply
    if wrong.get("minus_last"):
        total -= 1
    if wrong.get("cached_prompt_only"):
        return max(0, prompt - shared) + reply
    known = 0 if wrong.get("no_cache") else shared
    if wrong.get("next_token"):
        total += 1
    return max(0, total - known)


def recompute_cases(rng: random.Random) -> Iterator[Case]:
    """Lengths of prompt and reply so far, and tokens that the prefix cache still holds."""
    yield Case(10, 0, 0, note="preempted before the first token")
    yield Case(10, 4, 0, note="four tokens were written")
    yield Case(10, 4, 8, note="the prefix cache holds eight of them")
    yield Case(20, 20, 32, note="the prefix cache holds the prompt and a part of the reply")
    for _ in range(4):
        prompt, reply = rng.randint(20, 90), rng.randint(1, 40)
        yield Case(prompt, reply, rng.randint(1, prompt // 8) * 8 if prompt >= 8 else 0)


register(
    Check(
        name="serving.recomputed",
        task="tokens that are run through the model when a preempted sequence comes back",
        cases=recompute_cases,
        oracle=_recomputed,
        why="it is the price of a preemption, paid in one prefill instead of one step for each token.",
        hint="what was written stays written: prompt and reply are read again like one prompt, behind what is cached.",
        wrong=[
            WrongAnswer(
                "the prompt alone",
                lambda *a: _recomputed(*a, prompt_only=True),
                "the client has the tokens of the reply already; they are kept and read again, too.",
            ),
            WrongAnswer(
                "the reply alone",
                lambda *a: _recomputed(*a, reply_only=True),
                "the keys and values of the prompt are gone as well.",
            ),
            WrongAnswer(
                "cache forgotten",
                lambda *a: _recomputed(*a, no_cache=True),
                "what the prefix cache still holds need not be computed.",
            ),
            WrongAnswer(
                "cached prompt alone",
                lambda *a: _recomputed(*a, cached_prompt_only=True),
                "the prefix cache can hold tokens of the reply, too: subtract from the sum of both.",
            ),
            WrongAnswer(
                "all but the last",
                lambda *a: _recomputed(*a, minus_last=True),
                "the last token was chosen and never run: its logits give the next one.",
            ),
            WrongAnswer(
                "the next token, too",
                lambda *a: _recomputed(*a, next_token=True),
                "the next token is chosen from the logits of this pass; it is run in the one after it.",
            ),
        ],
    )
)
