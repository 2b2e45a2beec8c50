import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer

from finqa_lab.errors import CourseError
from finqa_lab.retrieve.analysis import Analyzer
from finqa_lab.retrieve.chunks import Chunker
from finqa_lab.retrieve.dense import LSA, DenseIndex
from tests.retrieve.pages import page

TEXTS = [chunk.text for chunk in Chunker().corpus(page(number) for number in range(8))]


@settings(deadline=None)
@given(st.integers(1, 30), st.integers(1, 8), st.integers(1, 40), st.integers(0, 1000))
def test_dense_search_equals_brute_force(documents, dimension, k, seed):
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((documents, dimension)).astype(np.float32)
    query = rng.standard_normal(dimension).astype(np.float32)
    exact = vectors.astype(np.float64) @ query
    positions, scores = DenseIndex(vectors).search(query, k)
    assert len(set(positions.tolist())) == min(k, documents)
    assert scores == pytest.approx(np.sort(exact)[::-1][:k], abs=1e-5)
    assert scores == pytest.approx(exact[positions], abs=1e-5)
    assert DenseIndex(vectors).scores(query) == pytest.approx(exact, abs=1e-5)


def test_removed_documents_close_the_gap_and_added_ones_come_last():
    vectors = np.eye(4, dtype=np.float32)
    index = DenseIndex(vectors[:3])
    index.remove(np.array([1]))
    index.add(vectors[3:])
    assert len(index) == 3
    assert index.scores(np.array([1, 2, 3, 4])).tolist() == [1, 3, 4]


def test_lsa_equals_the_pipeline_of_scikit_learn():
    vectorizer = TfidfVectorizer(analyzer=Analyzer(), sublinear_tf=True, min_df=2)
    pipeline = make_pipeline(vectorizer, TruncatedSVD(16, random_state=3), Normalizer())
    theirs = pipeline.fit_transform(TEXTS)
    ours = LSA.fit(TEXTS, 16, seed=3).encode(TEXTS)
    assert ours.dtype == np.float32 and ours.shape == theirs.shape
    # directions agree up to what float32 keeps; rows without a known term are zero in both
    assert np.abs(ours @ ours.T - theirs @ theirs.T).max() < 1e-4


def test_rows_have_length_one_and_an_unknown_text_is_zero():
    encoder = LSA.fit(TEXTS, 8)
    lengths = np.linalg.norm(encoder.encode(["net sales", "operating lease in 2012", "zzz", "", "売上高"]), axis=1)
    assert lengths == pytest.approx([1, 1, 0, 0, 0], abs=1e-5)


def test_a_small_corpus_gives_fewer_directions_and_one_without_repeated_terms_is_refused():
    assert LSA.fit(["net sales", "net sales tax", "net tax"], 50).dimension == 3
    with pytest.raises(CourseError, match="no term occurs in 2 of the 2 texts"):
        LSA.fit(["net", "sales"])


def test_a_saved_encoder_is_the_same_encoder(tmp_path):
    encoder = LSA.fit(TEXTS, 8, Analyzer(stemming=False))
    encoder.save(tmp_path)
    loaded = LSA.load(tmp_path)
    assert loaded.name == encoder.name and loaded.analyzer == encoder.analyzer
    assert (loaded.encode(TEXTS) == encoder.encode(TEXTS)).all()


def test_encoders_with_other_weights_have_other_names():
    assert LSA.fit(TEXTS, 8, seed=0).name != LSA.fit(TEXTS[:-4], 8, seed=0).name


@pytest.mark.parametrize("damage", ["cut", "other", "missing", "pickled"])
def test_a_damaged_encoder_is_refused(tmp_path, damage):
    LSA.fit(TEXTS, 8).save(tmp_path)
    arrays = tmp_path / "lsa.npz"
    if damage == "cut":
        arrays.write_bytes(arrays.read_bytes()[:-400])
    elif damage == "other":
        np.savez(arrays, idf=np.ones(3))
    elif damage == "pickled":
        np.savez(arrays, idf=np.array([{}], dtype=object), components=np.ones((1, 1)))
    else:
        arrays.unlink()
    with pytest.raises(CourseError, match="damaged"):
        LSA.load(tmp_path)
