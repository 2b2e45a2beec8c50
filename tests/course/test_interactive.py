"""The interactive notebooks: committed form, honest pages without a kernel, and that they run in one."""

import json
import subprocess
import sys

import nbformat
import pytest
from bs4 import BeautifulSoup

from finqa_lab.course import book, interactive, labs, widgets
from finqa_lab.course.figures import alt_problem
from finqa_lab.course.normalise import to_text
from finqa_lab.course.widgets import attention_map, cache_memory, capacity, retrieval, tokenizers, tuning_memory

CHAPTERS = {
    "cache_memory": "book/decoder/cache",
    "tuning_memory": "book/tuning/qlora",
    "capacity": "book/deployment/autoscaling",
    "retrieval": "book/retrieval/index",
    "tokenizers": "book/tokenizers/index",
    "attention_map": "book/decoder/attention",
}
WIDGET = "application/vnd.jupyter.widget-view+json"


def chapter(name: str) -> str:
    return (labs.root() / f"{CHAPTERS[name]}.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", widgets.NAMES)
def test_the_notebook_is_in_the_committed_form_and_in_the_contents(name):
    path = interactive.notebook_path(name)
    notebook = labs.read_notebook(path)
    assert path.read_text(encoding="utf-8") == to_text(notebook)
    assert f"book/interactive/{name}" in book.toc_pages(labs.root() / "_toc.yml")
    assert f"jupyter lab book/interactive/{name}.ipynb" in notebook.cells[0].source
    assert f"<{name}>`" in (labs.root() / "book" / "interactive" / "index.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", widgets.NAMES)
def test_the_page_has_a_described_picture_and_no_dead_controls(name):
    page = interactive.page(name)
    outputs = {cell["id"]: cell["outputs"] for cell in page.cells if cell.cell_type == "code"}
    assert set(outputs) == {interactive.LIVE, interactive.STILL}
    assert outputs[interactive.LIVE][0]["text"] == f"{interactive.NO_KERNEL}\n"
    assert WIDGET not in nbformat.writes(page)
    image = BeautifulSoup(outputs[interactive.STILL][0]["data"]["text/html"], "html.parser").find("img")
    assert alt_problem(image["alt"]) == ""


@pytest.mark.parametrize("name", widgets.NAMES)
def test_the_chapter_shows_the_picture_and_says_how_to_get_the_live_one(name):
    assert f"_generated/interactive_{name}.md" in chapter(name)
    text = interactive.fragments()[name]
    assert text.startswith("```{raw} html\n<figure") and "no kernel" in text
    assert f".venv/bin/jupyter lab book/interactive/{name}.ipynb" in text


def test_the_numbers_worked_in_the_chapters():
    """Each is computed by a test of its widget as well; here it is held to the sentence."""
    card = {"context": 8192, "batch": 1, "number_type": "bfloat16", "weight_bits": 16, "card": 24}
    llama = card | cache_memory.shape_of("Llama-3.1-8B")
    use = cache_memory.cache_use(**llama)
    bytes8 = cache_memory.cache_use(**llama | {"number_type": "int8 with scales"})
    bits4 = cache_memory.cache_use(**llama | {"weight_bits": 4})
    older = cache_memory.cache_use(**card | cache_memory.shape_of("Llama-2-7B"))
    free = (use.card - use.weights) / cache_memory.GIB
    assert (
        f"{use.weights / cache_memory.GIB:.2f} GiB, which leaves {free:.2f} GiB. A sequence takes "
        f"{use.a_sequence / cache_memory.GIB:.2f} GiB, so {use.most_sequences} fit. With the cache in int8 "
        f"{bytes8.most_sequences} do, with the weights in four bits instead {bits4.most_sequences}; of Llama 2 7B, "
        f"{older.most_sequences}."
    ) in chapter("cache_memory")

    tuned = {"model": "Llama-3.1-8B", "method": "QLoRA, NF4 double", "rank": 16, "targets": "all seven matrices"}
    tuned |= {"optimizer": "AdamW, float32 moments", "tokens": 2048}
    kept, again = (tuning_memory.tuning_use(**tuned, recompute=how) for how in (False, True))
    bfloat16 = tuning_memory.tuning_use(**tuned | {"method": "LoRA, bfloat16"})
    assert (
        f"a floor of {kept.floor.total / 1e9:.1f} GB and activations of {kept.activations / 1e9:.1f} GB, "
        f"{kept.total / 1e9:.1f} GB in all. With activations recomputed it is {again.total / 1e9:.1f} GB. Recomputing "
        f"saves {(kept.total - again.total) / 1e9:.1f} GB here, four bits instead of bfloat16 save "
        f"{(bfloat16.total - kept.total) / 1e9:.1f} GB."
    ) in chapter("tuning_memory")

    found = capacity.day(0.73, 5.0, 1, 8, "ml.g5.xlarge")
    assert (
        f"busy to {found.utilisation:.0%} and cost {found.dollars:.2f} USD a day. The p95 of the wait is "
        f"{found.p95['random']:.2f} s when instances are chosen at random"
    ) in chapter("capacity")
    assert found.p95["least"] == 0 and "and 0 when the least busy one is" in chapter("capacity")

    page = retrieval.questions()[retrieval.EXAMPLE].page.filename
    plain, header, words = (
        retrieval.rank_units(retrieval.EXAMPLE, page, rows) for rows in ("plain", "header", "sentences")
    )
    (a,), (b,), (c,) = (one.gold_ranks("BM25") for one in (plain, header, words))
    assert (
        f"of the {len(plain.chunks)} units of its page at rank {a} by BM25 when rows are plain cells, at rank {b} with "
        f"the header, at rank {c} as sentences"
    ) in chapter("retrieval")

    sentence = {name: tokenizers.cut(tokenizers.STILL[0], name) for name in tokenizers.NAMES}
    counts = ", ".join(f"{len(one.pieces)}" for one in sentence.values())
    a_word = ", ".join(f"{one.tokens_per_word:.2f}" for one in sentence.values())
    assert f"{counts} tokens, or {a_word} a word" in chapter("tokenizers")
    assert [b" revenues" in one.pieces for one in sentence.values()] == [False, False, True]

    tokens, _ = attention_map.weights_of(attention_map.EXAMPLE)
    count = len(tokens)
    assert (
        f"its {count} tokens have {count} rows of weights, with {count * (count + 1) // 2} of {count * count} places"
    ) in chapter("attention_map")


@pytest.mark.slow
def test_every_notebook_runs_in_a_kernel_and_shows_what_its_page_shows(tmp_path):
    """All in one kernel, one after the other, which saves five starts."""
    cells = []
    for name in widgets.NAMES:
        for cell in labs.read_notebook(interactive.notebook_path(name)).cells:
            cell["id"] = f"{name}-{cell['id']}"
            cells.append(cell)
    source, target, job = (tmp_path / name for name in ("all.ipynb", "run.ipynb", "job.json"))
    merged = nbformat.from_dict(json.loads(to_text(nbformat.v4.new_notebook(cells=cells))))
    source.write_text(nbformat.writes(merged), encoding="utf-8")
    settings = {"source": str(source), "target": str(target), "parameters": {}, "cwd": str(tmp_path)}
    job.write_text(json.dumps(settings | {"cell_timeout": 300}), encoding="utf-8")
    done = subprocess.run([sys.executable, "-m", "finqa_lab.course.execute", str(job)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    outputs = {cell["id"]: cell.get("outputs", []) for cell in labs.read_notebook(target).cells}
    for name in widgets.NAMES:
        (live,) = outputs[f"{name}-{interactive.LIVE}"]
        assert WIDGET in live["data"]
        (still,) = outputs[f"{name}-{interactive.STILL}"]
        assert still["data"]["text/html"] == interactive.markup(name)
