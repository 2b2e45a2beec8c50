"""Retrieval on FinQA: within a report, over the whole corpus, its latency, and the ladder of row texts and retrievers.

    OMP_NUM_THREADS=1 python benchmarks/finqa_retrieval.py --data FOLDER --split dev
    OMP_NUM_THREADS=1 python benchmarks/finqa_retrieval.py --data FOLDER --choose   # cross-validation on train

FOLDER holds train.json, the split and, where known, its strata and reports.json. The reranker is trained on train.json
only; every setting was chosen on it (`--choose`); the split is only measured. Intervals are 95%, for the whole split.
The encoder (LSA) is fitted on the texts of all pages that are searched, without their questions. About two minutes on
one core. Last line: one JSON object.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
from rank_bm25 import BM25Okapi
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from finqa_lab.course.report import hardware
from finqa_lab.errors import CourseError
from finqa_lab.finqa.pages import Page
from finqa_lab.finqa.splits import Estimate, Split, read_corpus, read_split, whole
from finqa_lab.finqa.synthetic.reports import load_reports
from finqa_lab.retrieve.analysis import Analyzer
from finqa_lab.retrieve.chunks import Chunker
from finqa_lab.retrieve.dense import LSA, Encoder
from finqa_lab.retrieve.encoders import minilm
from finqa_lab.retrieve.features import FeatureMaker
from finqa_lab.retrieve.hybrid import top_k
from finqa_lab.retrieve.index import Index
from finqa_lab.retrieve.ladder import all_rungs, compare, measured, rankers
from finqa_lab.retrieve.metrics import measure
from finqa_lab.retrieve.reranker import Ensemble, boosters, gold_units, mix_kinds, train_reranker
from finqa_lab.retrieve.search import CORPUS, PLAIN, REPORT, HybridSearch, Weights
from finqa_lab.retrieve.sparse import BM25

WITHIN = ("recall@3", "recall@5", "all@5", "recall@10", "mrr", "ndcg@5")
OVER_ALL = ("recall@5", "all@5", "recall@10", "all@10", "page@10", "recall@50")


def plain(estimate: Estimate) -> dict:
    """Percent, for JSON."""
    return {
        "value": round(100 * estimate.value, 2),
        "half": round(100 * estimate.half, 2),
        "count": estimate.count,
    }


def means(split: Split, found: Mapping[str, Mapping[str, float]], names: tuple[str, ...]) -> dict:
    """Estimates for the whole split."""
    return {name: plain(split.strata.mean({one: values[name] for one, values in found.items()})) for name in names}


def show(title: str, rows: Mapping[str, Mapping[str, dict]], names: tuple[str, ...]) -> None:
    """Print estimates as a table."""
    print(f"\n{title}\n{'':34}" + "".join(f"{name:>14}" for name in names))
    for label, row in rows.items():
        cells = (f"{row[name]['value']:.1f} +- {row[name]['half']:.1f}" for name in names)
        print(f"{label:34}" + "".join(f"{cell:>14}" for cell in cells))


def by_kind(split: Split, found: Mapping[str, Mapping[str, float]]) -> dict:
    """All gold facts among the first five, by where the gold facts are."""
    kinds = {}
    for kind in ("text", "table", "both"):
        values = {one.id: found[one.id]["all@5"] for one in split.records if one.fact_kind == kind and one.id in found}
        if values:
            kinds[kind] = plain(split.strata.mean(values))
    return kinds


def encoder_of(pages: Mapping[str, Page]) -> LSA:
    """Fitted on the sentences and rows of all pages."""
    return LSA.fit([chunk.text for chunk in Chunker().corpus(pages.values())])


def pretrained() -> dict[str, Encoder]:
    """The packaged MiniLM where the extra `minilm` is installed."""
    try:
        return {"MiniLM": minilm()}
    except CourseError as reason:
        print(f"no MiniLM rows: {reason}")
        return {}


def within(train: Split, split: Split, pages: dict[str, Page], repeats: int) -> dict:
    """Within the report of each question: untrained retrievers and the reranker."""
    untrained = rankers("sentences", encoder_of(pages))
    start = time.process_time()
    reranker = train_reranker(train.records)
    seconds = time.process_time() - start
    for name, encoder in pretrained().items():
        made = rankers("sentences", encoder)
        untrained |= {f"{method}, {name}": made[method] for method in ("dense", "hybrid", "names")}
    found = {name: measured(rank, split.records) for name, rank in untrained.items()}
    found["reranker"] = measured(reranker.rank, split.records)
    result = {
        name: means(split, values, WITHIN) | {"all@5 by kind": by_kind(split, values)} for name, values in found.items()
    }
    show("within a report, rows as sentences", result, WITHIN)
    kinds = {f"{name}: all@5": row["all@5 by kind"] for name, row in result.items() if name in ("names", "reranker")}
    show("by where the gold facts are", kinds, tuple(kinds["reranker: all@5"]))
    print(f"reranker: trained on {len(train.records)} questions in {seconds:.1f} CPU-seconds")
    return {"methods": result, "training": {"questions": len(train.records), "cpu_s": round(seconds, 2)}}


def over_corpus(search: HybridSearch, split: Split, weights: Weights) -> dict[str, dict[str, float]]:
    """Measures of every question asked to all pages; a unit is (page id, source id)."""
    found = {}
    for record in split.records:
        if not record.gold_facts:
            continue
        chunks = [search.chunks[place] for place in top_k(search.scores(record.question, weights), 50)]
        ranked = [(chunk.page, source) for chunk in chunks for source in chunk.sources]
        gold = {(record.page.filename, source) for source in record.gold_facts}
        found[record.id] = measure(ranked, gold, (5, 10, 50))
        found[record.id]["page@10"] = float(record.page.filename in {chunk.page for chunk in chunks[:10]})
    return found


FLAT = {
    "sparse": Weights(dense=0, name=0, numeric=False),
    "dense": Weights(sparse=0, name=0, numeric=False),
    "hybrid": PLAIN,
}


def corpus(train: Split, split: Split, pages: dict[str, Page], repeats: int) -> dict:
    """Over all pages, the question alone: flat retrievers and page-then-chunk."""
    index = Index(pages.values(), encoder_of(pages))
    search = index.hybrid()
    methods = FLAT | {"hybrid + page": Weights(page=CORPUS.page, name=0, numeric=False), "page-then-chunk": CORPUS}
    found = {name: over_corpus(search, split, weights) for name, weights in methods.items()}
    result = {name: means(split, values, OVER_ALL) for name, values in found.items()}
    best, flat = found["page-then-chunk"], found["hybrid"]
    gain = split.strata.mean({one: best[one]["all@10"] - flat[one]["all@10"] for one in flat})
    show(f"over {len(index.pages)} pages, {len(index)} chunks", result, OVER_ALL)
    print(f"page-then-chunk minus flat hybrid, all@10: {gain} points")
    counts = {"pages": len(index.pages), "chunks": len(index), "bytes": index.bytes}
    return counts | {"methods": result, "gain": plain(gain)}


def timed(work: Callable[[], object]) -> float:
    """Milliseconds of one call."""
    start = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - start)


def latency(train: Split, split: Split, pages: dict[str, Page], repeats: int) -> dict:
    """Milliseconds a question over the whole corpus; the contestants take turns question by question."""
    encoder, analyzer = encoder_of(pages), Analyzer()
    search = Index(pages.values(), encoder).hybrid()
    terms = [analyzer(chunk.text) for chunk in search.chunks]
    theirs, ours = BM25Okapi(terms), BM25(terms, variant="okapi")
    questions = [record.question for record in split.records[: 20 * repeats]]
    queries = [analyzer(question) for question in questions]
    apart = max(float(np.abs(theirs.get_scores(query) - ours.scores(query)).max()) for query in queries)
    times: dict[str, list[float]] = {
        name: [] for name in ("rank-bm25", "bm25", "bm25, first 10", "encode", "dense", "page-then-chunk")
    }
    for question, query in zip(questions, queries):
        vector = encoder.encode([question])[0]
        turns = {
            "rank-bm25": partial(theirs.get_scores, query),
            "bm25": partial(ours.scores, query),
            "bm25, first 10": partial(ours.search, query, 10),
            "encode": partial(encoder.encode, [question]),
            "dense": partial(search.dense.search, vector, 10),
            "page-then-chunk": partial(search.search, question, 10, CORPUS),
        }
        for name, work in turns.items():
            times[name].append(timed(work))
    result = {
        name: {"p50_ms": round(float(np.quantile(one, 0.5)), 4), "p95_ms": round(float(np.quantile(one, 0.95)), 4)}
        for name, one in times.items()
    }
    faster = {mark: result["rank-bm25"][mark] / result["bm25"][mark] for mark in ("p50_ms", "p95_ms")}
    print(f"\nlatency, {len(search.chunks)} chunks, {len(questions)} questions{'p50 ms':>14}{'p95 ms':>10}")
    for name, row in result.items():
        print(f"{name:34}{row['p50_ms']:>14.3f}{row['p95_ms']:>10.3f}")
    middle, tail = faster.values()
    print(f"bm25 is {middle:.0f} (p50) and {tail:.0f} (p95) times faster; scores differ by at most {apart:.1e}")
    ratios = {mark: round(ratio, 1) for mark, ratio in faster.items()}
    return {"chunks": len(search.chunks), "ms": result, "faster": ratios, "score_difference": apart}


def ladder(train: Split, split: Split, pages: dict[str, Page], repeats: int, margin: float = 0.02) -> dict:
    """The rungs on this data and on the generated reports, and whether they come in the same order."""
    found = all_rungs(split.records, pages, train_reranker(train.records).rank)
    made_train, made = load_reports("train"), load_reports("dev") + load_reports("test")
    made_pages = {record.page.filename: record.page for record in made_train + made}
    made_found = all_rungs(made, made_pages, train_reranker(made_train[: len(train.records)]).rank)
    equal = whole([record.id for record in made])
    names = ("recall@3", "recall@5", "all@5")
    rows, real, generated = {}, {}, {}
    for rung, values in found.items():
        label = " / ".join(rung)
        rows[label] = {name: one for name, one in means(split, values, names).items()}
        for name in names:
            one = {question: row[name] for question, row in made_found[rung].items()}
            rows[label][f"made {name}"] = plain(equal.mean(one))
        real[label], generated[label] = rows[label]["recall@5"]["value"], rows[label]["made recall@5"]["value"]
    show("the ladder; made: generated reports", rows, tuple(rows[label]))
    order = {
        "all pairs": compare(real, generated),
        f"pairs over {100 * margin:.0f} points": compare(real, generated, 100 * margin),
    }
    for label, one in order.items():
        print(f"order by recall@5, {label}: tau {one['tau']:.2f}, {len(one['inversions'])} of {one['pairs']} inverted")
    for worse, better in order[f"pairs over {100 * margin:.0f} points"]["inversions"]:
        print(f"  real: {worse} < {better}; generated the other way round")
    return {"rungs": rows, "order": order}


def folds(train: Split, count: int = 5, seed: int = 0):
    """Train and held-out positions; the questions of a page stay together."""
    groups = [record.page.filename for record in train.records]
    return list(GroupKFold(count, shuffle=True, random_state=seed).split(groups, groups=groups))


def held_out(train: Split, make: Callable[[], list], mixed: bool = True, seeds=(0, 1)) -> dict:
    """Means of a reranker's measures on held-out pages of train, over several divisions into folds."""
    maker = FeatureMaker.fit(list({record.page.filename: record.page for record in train.records}.values()))
    features = [maker.matrix(record.question, record.page) for record in train.records]
    gold = [gold_units(record) for record in train.records]
    runs = []
    for seed in seeds:
        found = {}
        for learn, test in folds(train, seed=seed):
            model = Ensemble(make()).fit(
                np.vstack([features[i] for i in learn]), np.concatenate([gold[i] for i in learn])
            )
            for i in test:
                record = train.records[i]
                order = top_k(model.log_odds(features[i]), len(gold[i]))
                if mixed:
                    order = mix_kinds(order, maker.candidates(record.page).rows)
                found[record.id] = measure([record.page.source_ids[place] for place in order], record.gold_facts)
        runs.append(means(train, found, WITHIN) | {"both all@5": by_kind(train, found)["both"]})
    return {
        name: {"value": statistics.fmean(run[name]["value"] for run in runs), "half": runs[0][name]["half"]}
        for name in runs[0]
    }


def regression() -> Pipeline:
    """The linear alternative to boosted trees."""
    return make_pipeline(StandardScaler(), LogisticRegression(C=0.05, max_iter=2000))


def choose(train: Split, pages: dict[str, Page]) -> dict:
    """What was tried on train for every setting; the first row of each table is the chosen one."""
    encoder = encoder_of(pages)
    searches = {record.page.filename: HybridSearch(Chunker().chunks(record.page), encoder) for record in train.records}

    def report(weights: Weights) -> dict:
        def rank(question: str, page: Page) -> list[str]:
            return [hit.chunk.sources[0] for hit in searches[page.filename].search(question, 10, weights)]

        return means(train, measured(rank, train.records), WITHIN)

    tried = {"chosen": REPORT} | {
        f"dense {dense} name {name}": Weights(dense=dense, name=name) for dense in (0.5, 1, 2) for name in (0, 0.5, 1)
    }
    tried["chosen, numberless not last"] = Weights(dense=REPORT.dense, name=REPORT.name, numeric=False)
    result = {"REPORT": {label: report(weights) for label, weights in tried.items()}}
    show("train: weights within a report (nothing is fitted)", result["REPORT"], WITHIN)

    search = Index(pages.values(), encoder).hybrid()
    tried = {"chosen": CORPUS, "flat": PLAIN} | {
        f"page {page} dense {dense} name {name}": Weights(page=page, dense=dense, name=name)
        for page in (1, 2, 3)
        for dense in (0.5, 1)
        for name in (0.25, 0.5)
    }
    result["CORPUS"] = {label: means(train, over_corpus(search, train, w), OVER_ALL) for label, w in tried.items()}
    show("train: weights over the corpus (nothing is fitted)", result["CORPUS"], OVER_ALL)

    tried = {
        "chosen": (boosters, True),
        "without a mixed fifth place": (boosters, False),
        "one booster": (partial(boosters, 1), True),
        "four boosters": (partial(boosters, 4), True),
        "and logistic regression": (lambda: [*boosters(), regression()], True),
        "logistic regression alone": (lambda: [regression()], True),
    }
    result["reranker"] = {label: held_out(train, make, mixed) for label, (make, mixed) in tried.items()}
    show("train: reranker on held-out pages", result["reranker"], (*WITHIN[:4], "both all@5"))
    return result


def main() -> None:
    """Read the data, run the parts, print the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="folder with train.json and the split")
    parser.add_argument("--split", default="dev")
    parser.add_argument("--repeats", type=int, default=5, help="latency: 20 questions a repeat")
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--choose", action="store_true", help="cross-validation on train; the split is not opened")
    arguments = parser.parse_args()
    train = read_split(arguments.data, "train")
    if arguments.choose:
        # reports.json may hold pages of the split: their texts are searched, their questions are not read
        result = {"choose": choose(train, read_corpus(arguments.data, train))}
    else:
        split = read_split(arguments.data, arguments.split)
        pages = read_corpus(arguments.data, train, split)
        result = {name: PARTS[name](train, split, pages, arguments.repeats) for name in arguments.only}
    print(json.dumps(result | {"hardware": hardware()}))


PARTS = {"within": within, "corpus": corpus, "latency": latency, "ladder": ladder}

if __name__ == "__main__":
    main()
