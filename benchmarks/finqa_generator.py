"""The small generator on gold facts and behind our own retrieval; part of benchmarks/finqa.py."""

import time
from collections.abc import Callable
from typing import TypeVar

from finqa_lab.finqa.generator.mentions import Evidence
from finqa_lab.finqa.generator.model import Generator, train
from finqa_lab.finqa.splits import Split
from finqa_lab.retrieve.evidence import retrieved_evidence, training_evidence
from finqa_lab.retrieve.reranker import train_reranker

T = TypeVar("T")
FACTS = 5
"""Retrieved facts that the generator reads."""
ROWS = ("gold facts", "trained on gold facts, asked with retrieved ones", "retrieved")


def generator(train_split: Split, split: Split, seeds: int) -> dict:
    """Execution accuracy with its interval, the mean over seeds; CPU time of one training."""
    records = [record for record in train_split.records if record.program]
    with_gold = [record for record in records if record.gold_facts]
    others = [record for record in records if not record.gold_facts]  # they teach which program a question asks for
    rows: dict[str, list] = {name: [] for name in ROWS}
    for seed in range(seeds):
        on_gold, gold_s = clocked(train, records, seed=seed)
        reranker, reranker_s = clocked(train_reranker, with_gold, seed=seed)
        evidence, evidence_s = clocked(training_evidence, with_gold, FACTS, seed)
        evidence += [Evidence.gold(record) for record in others]
        aligned, aligned_s = clocked(train, with_gold + others, evidence, seed=seed)

        known = {record.id: Evidence.gold(record) for record in split.records}
        found = {record.id: retrieved_evidence(record, reranker, FACTS) for record in split.records}
        runs = (gold_s, on_gold, known), (gold_s + reranker_s, on_gold, found)
        runs += ((reranker_s + evidence_s + aligned_s, aligned, found),)
        for name, (cpu, model, given) in zip(ROWS, runs):
            rows[name].append((cpu, *_accuracy(model, split, given)))
    report = {"train_on": train_split.name, "records": len(records), "seeds": seeds, "facts": FACTS}
    for name, runs in rows.items():
        middle = sum(best.value for _, best, _ in runs) / seeds
        within_five = sum(five.value for _, _, five in runs) / seeds
        half = max(best.half for _, best, _ in runs)
        cpu = max(cpu for cpu, _, _ in runs)
        each = [round(100 * best.value, 1) for _, best, _ in runs]
        print(
            f"generator, {name}: {100 * middle:.1f} +- {100 * half:.1f} % (seeds {each}), right among the first five "
            f"{100 * within_five:.1f} %, training at most {cpu:.0f} CPU-s"
        )
        report[name] = {"execution": round(middle, 4), "half_interval": round(half, 4), "each": each}
        report[name] |= {"among_five": round(within_five, 4), "train_cpu_s": round(cpu, 1)}
    return report


def clocked(work: Callable[..., T], *arguments, **options) -> tuple[T, float]:
    """The result and its CPU seconds."""
    begin = time.process_time()
    return work(*arguments, **options), time.process_time() - begin


def _accuracy(model: Generator, split: Split, evidence: dict[str, Evidence]) -> tuple:
    """Stratified estimates: the first program gives the answer; one of the first five does."""
    first, five = {}, {}
    for record in split.records:
        found = model.propose(evidence[record.id])[:5]
        right = [proposal.value == record.exe_ans for proposal in found]
        first[record.id], five[record.id] = float(right[:1] == [True]), float(any(right))
    return split.strata.mean(first), split.strata.mean(five)
