import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finqa_lab.errors import CourseError
from finqa_lab.retrieve.analysis import Analyzer
from finqa_lab.retrieve.chunks import Chunker
from finqa_lab.retrieve.dense import LSA
from finqa_lab.retrieve.index import Index
from tests.retrieve.pages import page

PAGES = [page(number) for number in range(9)]
TEXTS = [chunk.text for chunk in Chunker().corpus(PAGES)]
ENCODER = LSA.fit(TEXTS, 12)
QUESTIONS = ["total net sales in 2012", "deferred tax", "what was the average pension interest in 2015?", "zzz"]


def answers(index: Index) -> list:
    return [[(hit.chunk, hit.score) for hit in index.search(question, 7)] for question in QUESTIONS]


@pytest.fixture
def saved(tmp_path):
    return Index(PAGES, ENCODER).save(tmp_path / "index")


@settings(deadline=None, max_examples=25)
@given(st.lists(st.tuples(st.booleans(), st.sets(st.integers(0, 8), min_size=1)), max_size=6))
def test_an_index_that_grew_and_shrank_equals_one_built_at_once(steps):
    index, held = Index([], ENCODER), set()
    for adding, numbers in steps:
        if adding:
            index.add(PAGES[number] for number in sorted(numbers - held, reverse=True))
            held |= numbers
        else:
            index.delete(PAGES[number].filename for number in numbers & held)
            held -= numbers
        if held:
            index.search("net sales")  # whatever it remembers must not outlive the next step
    if held:
        rebuilt = Index([PAGES[number] for number in held], ENCODER)
        assert answers(index) == answers(rebuilt)
        assert index.manifest() == rebuilt.manifest() and index.bytes == rebuilt.bytes


def test_a_saved_index_answers_alike_and_can_be_changed_further(saved):
    loaded = Index.load(saved, ENCODER, pages=PAGES)
    assert answers(loaded) == answers(Index(PAGES, ENCODER))
    loaded.delete([PAGES[0].filename])
    loaded.add([page(50)])
    assert answers(loaded) == answers(Index([*PAGES[1:], page(50)], ENCODER))


def test_the_manifest_says_what_the_index_was_made_of(saved):
    manifest = json.loads((saved / "manifest.json").read_text())
    assert manifest["pages"] == 9 and manifest["chunks"] == len(TEXTS)
    assert manifest["encoder"] == ENCODER.name and manifest["dimension"] == 12
    assert manifest["chunker"] == {"text": "sentence", "rows": "sentences"}
    assert manifest["analyzer"] == {"stop_words": True, "stemming": True}
    sizes = {name: (saved / name).stat().st_size for name in manifest["files"]}
    assert sizes == {name: entry["bytes"] for name, entry in manifest["files"].items()}
    assert Index(PAGES, ENCODER).bytes == sum(sizes.values())


def test_loading_does_not_encode_the_pages_again(saved, monkeypatch):
    monkeypatch.setattr(LSA, "encode", lambda self, texts: pytest.fail("encoded again"))
    assert len(Index.load(saved, ENCODER)) == len(TEXTS)


@pytest.mark.parametrize(
    "wanted, problem",
    [
        ({"encoder": LSA.fit(TEXTS[:60], 12)}, "another encoder"),
        ({"chunker": Chunker(rows="plain")}, "another chunker"),
        ({"chunker": Chunker("window")}, "another chunker"),
        ({"analyzer": Analyzer(stemming=False)}, "another analyzer"),
        ({"pages": PAGES[1:]}, "another data"),
        ({"pages": [replace(PAGES[0], pre_text=("changed",)), *PAGES[1:]]}, "another data"),
    ],
)
def test_an_index_made_of_something_else_is_refused(saved, wanted, problem):
    with pytest.raises(CourseError, match=problem):
        Index.load(saved, **({"encoder": ENCODER} | wanted))


@pytest.mark.parametrize("name", ["pages.json", "vectors.npy"])
@pytest.mark.parametrize("damage", ["one byte", "cut", "missing"])
def test_a_damaged_file_is_refused(saved, name, damage):
    path = saved / name
    content = bytearray(path.read_bytes())
    if damage == "missing":
        path.unlink()
    else:
        content[-3] ^= 1
        path.write_bytes(content if damage == "one byte" else content[:-10])
    with pytest.raises(CourseError, match="lacks|damaged"):
        Index.load(saved, ENCODER)


def test_a_file_that_the_manifest_was_made_to_fit_is_still_not_trusted(saved):
    """Pickled arrays and vectors of another shape are refused even with the right hash."""
    from finqa_lab.files import sha256_file

    manifest = json.loads((saved / "manifest.json").read_text())
    for array, problem in ((np.array([{}], dtype=object), "no array"), (np.ones((2, 12)), "does not hold")):
        np.save(saved / "vectors.npy", array, allow_pickle=True)
        manifest["files"]["vectors.npy"]["sha256"] = sha256_file(saved / "vectors.npy")
        (saved / "manifest.json").write_text(json.dumps(manifest))
        with pytest.raises(CourseError, match=problem):
            Index.load(saved, ENCODER)


@pytest.mark.parametrize("content, problem", [(None, "is missing"), ("{", "is not JSON"), ("[]", "another format")])
def test_a_folder_without_a_usable_manifest_is_refused(saved, content, problem):
    path = saved / "manifest.json"
    path.unlink() if content is None else path.write_text(content)
    with pytest.raises(CourseError, match=problem):
        Index.load(saved, ENCODER)


def test_a_page_cannot_be_added_twice_and_nothing_is_added_then():
    index = Index(PAGES[:2], ENCODER)
    for pages in ([PAGES[2], PAGES[0]], [PAGES[3], PAGES[3]]):
        with pytest.raises(CourseError, match="is there twice"):
            index.add(pages)
    assert list(index.pages) == sorted(one.filename for one in PAGES[:2])


def test_deleting_an_unknown_page_deletes_nothing():
    index = Index(PAGES[:2], ENCODER)
    with pytest.raises(CourseError, match="page X is not in the index of 2 pages"):
        index.delete([PAGES[0].filename, "X"])
    assert len(index.pages) == 2


def test_an_empty_index_can_be_saved_and_opened_but_not_searched(tmp_path):
    index = Index.load(Index([], ENCODER).save(tmp_path), ENCODER)
    assert len(index) == 0
    with pytest.raises(CourseError, match="no term to index"):
        index.search("net sales")


def test_duplicate_texts_on_different_pages_are_both_found():
    twin = replace(PAGES[0], filename="Z/2016/page_1.pdf")
    hits = Index([PAGES[0], twin], ENCODER).search("net sales", 2)
    assert hits[0].chunk.text == hits[1].chunk.text and hits[0].score == hits[1].score
    assert [hit.chunk.page for hit in hits] == [PAGES[0].filename, twin.filename]
