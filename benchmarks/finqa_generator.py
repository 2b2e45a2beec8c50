"""The small generator on gold facts and behind our own retrieval; part of benchmarks/finqa.py."""

import time

from finqa_lab.finqa.generator.mentions import Evidence
from finqa_lab.finqa.generator.model import Generator, train
from finqa_lab.finqa.splits import Split
from finqa_lab.retrieve.evidence import retrieved_evidence, training_evidence
from finqa_lab.retrieve.reranker import train_reranker

FACTS = 5
"""Retrieved facts that the generator reads."""


def generator(train_split: Split, split: Split, seeds: int) -> dict:
    """Execution accuracy with its interval, the mean over seeds; CPU time of one training."""
    records = [record for record in train_split.records if record.program]
    with_gold = [record for record in records if record.gold_facts]
    others = [record for record in records if not record.gold_facts]  # they teach which program a question asks for
    rows: dict[str, list] = {"gold facts": [], "retrieved": []}
    for seed in range(seeds):
        begin = time.process_time()
        on_gold = train(records, seed=seed)
        cpu = time.process_time() - begin
        evidence = {record.id: Evidence.gold(record) for record in split.records}
        rows["gold facts"].append((cpu, *_accuracy(on_gold, split, evidence)))

        begin = time.process_time()
        reranker = train_reranker(with_gold, seed=seed)
        evidence = training_evidence(with_gold, FACTS, seed) + [Evidence.gold(record) for record in others]
        aligned = train(with_gold + others, evidence, seed=seed)
        cpu = time.process_time() - begin
        evidence = {record.id: retrieved_evidence(record, reranker, FACTS) for record in split.records}
        rows["retrieved"].append((cpu, *_accuracy(aligned, split, evidence)))
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


def _accuracy(model: Generator, split: Split, evidence: dict[str, Evidence]) -> tuple:
    """Stratified estimates: the first program gives the answer; one of the first five does."""
    first, five = {}, {}
    for record in split.records:
        found = model.propose(evidence[record.id])[:5]
        right = [proposal.value == record.exe_ans for proposal in found]
        first[record.id], five[record.id] = float(right[:1] == [True]), float(any(right))
    return split.strata.mean(first), split.strata.mean(five)
