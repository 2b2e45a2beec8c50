"""The worked numbers of the chapter on the serving stack, from the virtual clock: the same on every machine.

``python -m finqa_lab.serve.simulate.engine_studies`` prints them as the tables of the chapter. Machine and shape are
those of :mod:`finqa_lab.serve.simulate.studies`.
"""

from collections.abc import Callable

import numpy as np

from finqa_lab.serve.load.summary import summarise
from finqa_lab.serve.simulate.studies import Table, as_markdown, asked, served
from finqa_lab.serve.simulate.virtual import Asked


def lengths(count: int, seed: int = 0) -> list[Asked]:
    """Requests whose replies differ in length as they do in practice: the logarithm is normal, median 33 tokens."""
    rng = np.random.default_rng(seed)
    replies = np.clip(rng.lognormal(3.5, 0.9, count), 2, 400).astype(int)
    return [Asked(one.prompt, int(reply)) for one, reply in zip(asked(count, prompt=64), replies)]


def batching() -> Table:
    """160 requests that are there from the beginning: one at a time, in static batches of eight, and continuously."""
    requests = lengths(160)
    batches = [served(requests[i : i + 8], concurrency=8, settings={"batch": 8}) for i in range(0, 160, 8)]
    alone = served(requests, concurrency=1, settings={"batch": 1})
    together = served(requests, concurrency=160, settings={"batch": 8})
    seconds = {"one at a time": alone.seconds, "static, 8": sum(one.seconds for one in batches)}
    tokens = sum(one.output for one in requests)
    steps = {"one at a time": len(alone.steps), "static, 8": sum(len(one.steps) for one in batches)}
    seconds["continuous, 8"], steps["continuous, 8"] = together.seconds, len(together.steps)
    rows = [
        (name, f"{steps[name]:,}", f"{tokens / steps[name]:.1f}", f"{tokens / seconds[name]:.0f}") for name in steps
    ]
    return ("batch", "steps", "tokens a step", "tokens/s"), rows


def pool() -> Table:
    """The same requests, sixteen at a time, over pools of different size: what preemption costs."""
    requests, rows = lengths(160), []
    for blocks in (512, 96, 64, 48, 32):
        played = served(requests, concurrency=160, settings={"batch": 16, "blocks": blocks})
        found = played.statistics
        needed = sum(len(one.prompt) + one.output - 1 for one in requests)
        rows.append(
            (
                str(blocks),
                str(found.preemptions),
                f"{found.computed_tokens / needed - 1:.0%}",
                f"{played.tokens_a_second:.0f}",
            )
        )
    return ("blocks of 16", "preemptions", "computed again", "tokens/s"), rows


def shared() -> Table:
    """Prompts of 256 tokens that share a beginning, eight at a time, with the prefix cache and without."""
    rows = []
    for common in (0, 64, 128, 192, 240):
        requests = asked(64, prompt=256, reply=32)
        requests = [Asked((*requests[0].prompt[:common], *one.prompt[common:]), one.output) for one in requests]
        cells = [str(common)]
        for cache in (False, True):
            settings = {"batch": 8, "prefix_cache": cache}
            found = summarise(served(requests, concurrency=8, settings=settings).records)
            cells += [f"{1000 * found.ttft['p50'].value:.0f}", f"{found.tokens_a_second:.0f}"]
        rows.append(tuple(cells))
    return ("tokens in common", "p50 TTFT, ms", "tokens/s", "p50 TTFT with cache, ms", "tokens/s with cache"), rows


def block_sizes() -> Table:
    """A crowded pool of 1,024 positions cut into blocks of different size: what stands empty is lost to the batch."""
    rows = []
    for size in (1, 4, 16, 64, 256):
        settings = {"batch": 16, "blocks": 1024 // size, "block_size": size}
        played = served(lengths(160), concurrency=160, settings=settings)
        mean = np.mean([len(parts) for _, parts in played.steps])
        rows.append((str(size), f"{mean:.1f}", str(played.statistics.preemptions), f"{played.tokens_a_second:.0f}"))
    return ("positions in a block", "sequences in a step", "preemptions", "tokens/s"), rows


STUDIES: tuple[Callable[[], Table], ...] = (batching, pool, shared, block_sizes)


if __name__ == "__main__":
    for study in STUDIES:
        print(as_markdown(study()), end="\n\n")
