import numpy as np
import pytest

from finqa_lab.errors import CourseError
from finqa_lab.finqa.pages import Page
from finqa_lab.finqa.splits import read_split
from finqa_lab.retrieve.candidates import candidates
from finqa_lab.retrieve.chunks import Chunker
from finqa_lab.retrieve.dense import LSA
from finqa_lab.retrieve.features import FeatureMaker, longest_run, span
from finqa_lab.retrieve.ladder import measured, rankers
from finqa_lab.retrieve.metrics import measure
from finqa_lab.retrieve.reranker import Ensemble, boosters, gold_units, mix_kinds, train_reranker
from tests.finqa_data import finqa_folder
from tests.retrieve.pages import acme, page, records

TRAIN = records(60)
MAKER = FeatureMaker.fit([page(number) for number in range(20)], dimension=16)
QUESTION = "what was the percentage change in total net sales from 2017 to 2018?"


@pytest.fixture(scope="module")
def reranker():
    return train_reranker(TRAIN)


def test_there_is_one_score_a_unit_in_the_order_of_the_page(reranker):
    report = acme()
    scores = reranker.scores(QUESTION, report)
    assert scores.shape == (len(report.source_ids),) and np.isfinite(scores).all()
    ranked = reranker.rank(QUESTION, report, mixed=False)
    assert sorted(ranked) == sorted(report.source_ids)
    assert ranked[0] == report.source_ids[int(scores.argmax())] == "table_3"


def test_it_learns_which_row_is_asked_for_on_pages_it_has_not_seen(reranker):
    unseen = [record for record in records(120) if record.page not in {other.page for other in TRAIN}]
    found = [measure(reranker.rank(one.question, one.page), one.gold_facts)["recall@1"] for one in unseen]
    assert len(found) == 60 and np.mean(found) > 0.95


def test_what_it_learns_depends_on_the_gold_facts():
    """Trained to want the header row, it ranks the header row first: the labels decide, not the features."""
    wrong = [type(one)(one.id, one.page, one.question, gold_facts={"table_0": ""}) for one in TRAIN]
    assert train_reranker(wrong).rank(QUESTION, acme(), mixed=False)[0] == "table_0"


def test_the_same_seed_gives_the_same_scores_and_another_seed_others():
    mixed = [  # every third question wants a sentence, so that the trees have something to disagree on
        type(one)(one.id, one.page, one.question, gold_facts={"text_1": ""}) if number % 3 == 0 else one
        for number, one in enumerate(TRAIN)
    ]
    first, again, other = (train_reranker(mixed, seed).scores(QUESTION, acme()) for seed in (0, 0, 7))
    assert (first == again).all()
    assert (first != other).any()


def test_records_without_gold_facts_are_left_out_and_refused_when_there_are_no_others(reranker):
    blank = type(TRAIN[0])("x-1", acme(), QUESTION)
    assert (train_reranker([*TRAIN, blank]).scores(QUESTION, acme()) == reranker.scores(QUESTION, acme())).all()
    with pytest.raises(CourseError, match="no question has gold facts"):
        train_reranker([blank])


@pytest.mark.parametrize("question", ["", " "])
def test_an_empty_question_is_refused(reranker, question):
    with pytest.raises(CourseError, match="the question is empty"):
        reranker.rank(question, acme())


@pytest.mark.parametrize("question", ["売上高はいくらですか", "zzz", "?", "what was the"])
def test_a_question_without_known_terms_still_gets_finite_scores(reranker, question):
    assert np.isfinite(reranker.scores(question, acme())).all()


@pytest.mark.parametrize(
    "report",
    [
        Page("a", (), (), (("", "x"),)),
        Page("b", ("",), (), (("",),)),
        Page("c", ("", "."), ("net sales in 2012 were $ 5",), (("", ""), ("", ""))),
        Page("d", ("net sales",) * 3, (), (("", "2012"), ("net sales", "5"), ("net sales", "5"))),
    ],
)
def test_pages_that_lack_almost_everything_are_ranked(reranker, report):
    assert sorted(reranker.rank(QUESTION, report)) == sorted(report.source_ids)


def test_features_have_the_same_names_in_the_same_order_for_every_page_and_question():
    first = MAKER.features(QUESTION, acme())
    second = MAKER.features("zzz", Page("a", (), (), (("",),)))
    assert list(first) == list(second)
    assert MAKER.matrix(QUESTION, acme()).shape == (9, len(first))


def test_features_worked_by_hand():
    report = acme()
    found = {name: dict(zip(report.source_ids, values)) for name, values in MAKER.features(QUESTION, report).items()}
    assert found["is_row"]["table_0"] == 1 and found["is_row"]["text_4"] == 0
    assert [found["to_table"][f"text_{i}"] for i in range(5)] == [2, 1, -1, -2, -3]
    assert found["name_share_quoted"]["table_3"] == 1 and found["name_share_quoted"]["table_1"] == 0
    assert found["name_whole"]["table_3"] == 3
    assert [found["years_share"][unit] for unit in ("text_2", "text_3", "text_1", "table_1")] == [0.5, 1, 0, 1]
    assert found["total_row"]["table_3"] == 1 and found["total_row"]["table_2"] == 0
    assert found["covered"]["text_4"] == 0 < found["covered"]["text_0"] < found["covered"]["table_3"] <= 1
    assert found["question_change"]["text_0"] == 1 and found["question_average"]["text_0"] == 0
    assert found["bm25_rank_in_kind"]["table_3"] == 0
    assert found["rough_before"]["table_0"] == found["rough_after"]["text_4"] == 0


def test_neighbours_are_those_of_the_same_kind():
    made = MAKER.features(QUESTION, acme())
    assert made["rough_before"][1] == made["rough"][0] and made["rough_after"][0] == made["rough"][1]
    assert made["rough_before"][5] == 0


def test_a_description_does_not_depend_on_what_was_described_before():
    fresh = FeatureMaker.fit([page(number) for number in range(20)], dimension=16)
    for number in range(5):
        fresh.features("net sales", page(number))
    assert (fresh.matrix(QUESTION, acme()) == MAKER.matrix(QUESTION, acme())).all()


def test_spans_of_many_years_are_not_filled():
    assert span({"2000", "2015"}) == {"2000", "2015"}
    assert span({"2010", "2012", "2014"}) == {"2010", "2012", "2014"}
    assert span(set()) == set()


def test_the_longest_run_must_be_unbroken():
    assert longest_run(list("abcde"), list("abxcde")) == 3
    assert longest_run([], list("a")) == longest_run(list("a"), list("b")) == 0


def test_the_fifth_place_goes_to_the_best_of_the_other_kind_only_when_needed():
    rows = np.array([False] * 3 + [True] * 6)
    assert mix_kinds(np.array([3, 4, 5, 6, 7, 8, 1, 0, 2]), rows).tolist() == [3, 4, 5, 6, 1, 7, 8, 0, 2]
    for order in ([3, 4, 5, 6, 2, 7, 8, 1, 0], [0, 3, 4, 5, 6, 7, 8, 1, 2]):
        assert mix_kinds(np.array(order), rows).tolist() == order
    assert mix_kinds(np.arange(3), np.zeros(3, bool)).tolist() == [0, 1, 2]


def test_the_log_odds_of_the_models_are_averaged():
    features = np.vstack([MAKER.matrix(one.question, one.page) for one in TRAIN[:20]])
    gold = np.concatenate([gold_units(one) for one in TRAIN[:20]])
    single = [Ensemble(boosters(1, seed)).fit(features, gold).log_odds(features) for seed in (0, 1)]
    both = Ensemble(boosters(2)).fit(features, gold).log_odds(features)
    assert both == pytest.approx(np.mean(single, axis=0))


def test_candidates_of_a_page_keep_its_units_apart():
    units = candidates(acme(), MAKER.encoder)
    texts, rows = units.kinds
    assert texts.tolist() == [0, 1, 2, 3, 4] and rows.tolist() == [5, 6, 7, 8]
    assert units.header_years == {"2017", "2018"} and units.years[3] == {"2017", "2018"}
    assert units.fixed["colon"].sum() == 0 and units.fixed["is_header"].tolist().index(1) == 5


@pytest.mark.slow
def test_on_real_reports_it_finds_more_than_the_untrained_search():
    """Trained on two thirds of the train portion's pages, measured on the other pages."""
    split = read_split(finqa_folder("train.json"), "train")
    names = sorted({record.page.filename for record in split.records})
    held_out = set(names[::3])
    learn = [record for record in split.records if record.page.filename not in held_out]
    test = [record for record in split.records if record.page.filename in held_out]
    encoder = LSA.fit(
        [chunk.text for chunk in Chunker().corpus({one.page.filename: one.page for one in learn}.values())], 128
    )
    untrained = measured(rankers("sentences", encoder)["names"], test)
    trained = measured(train_reranker(learn).rank, test)
    gains = [trained[name]["recall@5"] - untrained[name]["recall@5"] for name in trained]
    assert len(gains) > 120 and np.mean(gains) > 0.02, np.mean(gains)
