"""Training and encoding speed of finqa_lab.text beside `tokenizers`, tiktoken and a plain recount.

    python benchmarks/tokenizer.py                   # 5 MB, vocabulary 8,192, 5 repeats: about 2 minutes
    python benchmarks/tokenizer.py --bytes 500000 --repeats 1 --recount-merges 1

Everything runs in this process, one contestant after the other within each repeat, on the same documents (the
standard library's own sources, in sorted order) with the same pre-split pattern. Times are wall time, medians of
the repeats; a ratio is taken within each repeat, then its median. On a machine with other work the second thread
of `tokenizers` may not get its core, so the CPU seconds and the load average stand beside the times. `tokenizers`
reads its thread settings once per process: its single-threaded row comes from a child process with
RAYON_NUM_THREADS=1 and TOKENIZERS_PARALLELISM=false.

Before any time counts: our merges must equal those that `tokenizers` learns and, as far as it goes, those of the
plain recount, and all encoders must give the same ids. Last line: one JSON object.
"""

import argparse
import hashlib
import json
import os
import platform
import statistics
import subprocess
import sys
import sysconfig
import time
from collections import Counter
from pathlib import Path

from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from finqa_lab.text import ByteLevelBPE, PreSplit, to_tiktoken, train_merges
from finqa_lab.text.huggingface import GPT2_ALPHABET, bytes_to_piece, to_json
from finqa_lab.text.recount import best_pair, count_pairs, merge


def documents(size: int) -> list[str]:
    """The standard library's sources in sorted order, a document a file, until ``size`` bytes; the last is cut."""
    root, found, total = Path(sysconfig.get_path("stdlib")), [], 0
    for path in sorted(root.rglob("*.py"), key=lambda path: path.relative_to(root).parts):
        if "site-packages" in path.parts or "dist-packages" in path.parts:
            continue
        try:
            text = path.read_bytes().decode("utf-8")
        except UnicodeDecodeError:
            continue
        text = text.encode()[: size - total].decode("utf-8", "ignore")
        found.append(text)
        total += len(text.encode())
        if total >= size - 3:
            break
    return found


def timed(function, *args):
    """(wall seconds, CPU seconds of all threads, result)"""
    wall, cpu = time.perf_counter(), time.process_time()
    result = function(*args)
    return time.perf_counter() - wall, time.process_time() - cpu, result


def train_ours(texts: list[str], vocabulary: int) -> tuple[list, dict]:
    info: dict = {}
    start = time.perf_counter()
    words = {word.encode(): n for word, n in PreSplit().count(texts).items()}
    info["split_seconds"] = time.perf_counter() - start
    return train_merges(words, vocabulary - 256, GPT2_ALPHABET, info), info


def train_theirs(texts: list[str], vocabulary: int) -> tuple[float, float, list[tuple[str, str]]]:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = Tokenizer.from_str(to_json(ByteLevelBPE.from_merges([]))).pre_tokenizer
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=vocabulary, show_progress=False, initial_alphabet=alphabet)
    wall, cpu, _ = timed(tokenizer.train_from_iterator, texts, trainer)
    return wall, cpu, [tuple(pair) for pair in json.loads(tokenizer.to_str())["model"]["merges"]]


def recount(texts: list[str], merges: int) -> list[tuple[int, int]]:
    """The way minbpe does it: every word of the text kept, every pair counted again before each merge."""
    id_of = {byte: index for index, byte in enumerate(GPT2_ALPHABET)}
    words = [[id_of[byte] for byte in word.encode()] for text in texts for word in PreSplit().split(text)]
    learned = []
    for new_id in range(256, 256 + merges):
        counts: Counter = Counter()
        for ids in words:
            count_pairs(ids, 1, counts)
        learned.append(best_pair(counts))
        words = [merge(ids, learned[-1], new_id) for ids in words]
    return learned


def single_threaded(arguments: list[str]) -> float:
    """Median training time of `tokenizers` in a fresh process that may use one thread."""
    environment = {**os.environ, "RAYON_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    command = [sys.executable, __file__, "--only-theirs", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--bytes", type=int, default=5_000_000)
    parser.add_argument("--vocabulary", type=int, default=8192)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--recount-merges", type=int, default=3)
    parser.add_argument("--only-theirs", action="store_true", help="print the median training time of `tokenizers`")
    arguments = parser.parse_args()
    texts = documents(arguments.bytes)
    if arguments.only_theirs:
        times = [train_theirs(texts, arguments.vocabulary)[0] for _ in range(arguments.repeats)]
        print(statistics.median(times))
        return
    os.environ.pop("TOKENIZERS_PARALLELISM", None)  # as its user runs it: all threads
    whole = "".join(texts)
    size = len(whole.encode())
    digest = hashlib.sha256(whole.encode()).hexdigest()
    print(f"{size:,} bytes in {len(texts)} documents, sha256 {digest[:16]}; vocabulary {arguments.vocabulary:,}")
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, load average {os.getloadavg()[0]:.2f}")

    ours_s, theirs_s, split_s, ours_cpu, theirs_cpu = [], [], [], [], []
    for _ in range(arguments.repeats):
        seconds, cpu, (merges, info) = timed(train_ours, texts, arguments.vocabulary)
        ours_s.append(seconds)
        ours_cpu.append(cpu)
        split_s.append(info["split_seconds"])
        seconds, cpu, their_merges = train_theirs(texts, arguments.vocabulary)
        theirs_s.append(seconds)
        theirs_cpu.append(cpu)
    tokenizer = ByteLevelBPE.from_merges(merges, alphabet=GPT2_ALPHABET)
    assert their_merges == [tuple(bytes_to_piece(tokenizer.pieces[i]) for i in pair) for pair in merges]
    one_thread = single_threaded(sys.argv[1:])
    recount_s, _, first = timed(recount, texts, arguments.recount_merges)
    assert first == merges[: arguments.recount_merges]
    per_merge = recount_s / arguments.recount_merges

    tiktoken, huggingface = to_tiktoken(tokenizer), Tokenizer.from_str(to_json(tokenizer))
    encoders = {
        "cold": lambda: [ByteLevelBPE.encode(tokenizer, text) for text in texts],
        "warm": lambda: [tokenizer.encode(text) for text in texts],
        "tiktoken": lambda: [tiktoken.encode_ordinary(text) for text in texts],
        "tokenizers": lambda: [huggingface.encode(t, add_special_tokens=False).ids for t in texts],
        "tokenizers_batch": lambda: [
            found.ids for found in huggingface.encode_batch_fast(texts, add_special_tokens=False)
        ],
    }
    encode_s: dict[str, list[float]] = {name: [] for name in encoders}
    for _ in range(arguments.repeats):
        tokenizer = ByteLevelBPE.from_merges(merges, alphabet=GPT2_ALPHABET)  # "cold": an empty word cache
        results = {}
        for name, encoder in encoders.items():
            seconds, _, results[name] = timed(encoder)
            encode_s[name].append(seconds)
        assert all(result == results["cold"] for result in results.values())

    def ratio(ours: list[float], theirs: list[float]) -> float:
        return statistics.median(a / b for a, b in zip(ours, theirs))

    ours, theirs, median = statistics.median(ours_s), statistics.median(theirs_s), statistics.median
    print(f"\n{'training':46}{'seconds':>10}{'ours / it':>11}{'CPU s':>9}")
    print(f"{'finqa_lab.text, one thread':46}{ours:10.3f}{1:11.2f}{median(ours_cpu):9.3f}")
    print(f"{'  of which pre-split and counting':46}{median(split_s):10.3f}")
    print(f"{'tokenizers, all threads':46}{theirs:10.3f}{ratio(ours_s, theirs_s):11.2f}{median(theirs_cpu):9.3f}")
    print(f"{'tokenizers, one thread':46}{one_thread:10.3f}{ours / one_thread:11.2f}")
    label = f"recount as minbpe, {arguments.recount_merges} merges, extrapolated"
    print(f"{label:46}{per_merge * len(merges):10.0f}{ours / (per_merge * len(merges)):11.5f}")
    print(f"merges equal: {len(merges):,} with tokenizers, {len(first)} with the recount; "
          f"{info['batches']} batches for {len(merges):,} merges; {info['pairs']:,} pairs seen")  # fmt: skip

    names = {
        "cold": "finqa_lab.text, empty word cache",
        "warm": "finqa_lab.text, filled word cache",
        "tiktoken": "tiktoken encode_ordinary, our merges",
        "tokenizers": "tokenizers encode, our merges",
        "tokenizers_batch": "tokenizers encode_batch_fast, all threads",
    }
    print(f"\n{'encoding':46}{'MB/s':>10}{'ours / it':>11}")
    speed = {name: size / 1e6 / median(seconds) for name, seconds in encode_s.items()}
    against = {name: 1 / ratio(encode_s["cold"], seconds) for name, seconds in encode_s.items()}
    for name, label in names.items():
        print(f"{label:46}{speed[name]:10.2f}{against[name]:11.2f}")
    print(f"ids equal: {sum(map(len, results['cold'])):,} with both\n")
    print(json.dumps({
        "bytes": size, "documents": len(texts), "sha256": digest, "vocabulary": arguments.vocabulary,
        "repeats": arguments.repeats, "python": platform.python_version(), "cores": os.cpu_count(),
        "load_average": os.getloadavg()[0], "train_cpu_seconds": round(median(ours_cpu), 4),
        "tokenizers_train_cpu_seconds": round(median(theirs_cpu), 4),
        "train_seconds": round(ours, 4), "tokenizers_train_seconds": round(theirs, 4),
        "tokenizers_one_thread_train_seconds": round(one_thread, 4),
        "recount_seconds_per_merge": round(per_merge, 3), "train_ratio": round(ratio(ours_s, theirs_s), 3),
        "train_ratio_one_thread": round(ours / one_thread, 3),
        "batches": info["batches"], "encode_mb_per_second": {k: round(v, 2) for k, v in speed.items()},
        "encode_speed_ratio": {k: round(v, 3) for k, v in against.items()},
    }))  # fmt: skip


if __name__ == "__main__":
    main()
