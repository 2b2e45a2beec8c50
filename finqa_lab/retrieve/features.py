"""What a reranker sees of a question and each unit of a report: about a hundred numbers, all from counting words.

All units of a page are described at once. A score is given as it is, relative to the page's best, and as its rank among
all units and among those of its kind (text or row): whether a score is high depends on the rivals.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np

from finqa_lab.errors import CourseError
from finqa_lab.finqa.pages import Page
from finqa_lab.retrieve.analysis import numbers, years
from finqa_lab.retrieve.candidates import TERMS, WORDS, Candidates, candidates, pairs
from finqa_lab.retrieve.chunks import Chunker
from finqa_lab.retrieve.dense import LSA
from finqa_lab.retrieve.hybrid import ranks

QUESTION_KINDS = {
    "change": r"\bchange|\bgrowth|\bincrease|\bdecrease|\bdecline|\breduction|\bgrew",
    "share": r"\bpercent|\bportion|\bratio|\bproportion|%",
    "total": r"\btotal|\bsum\b|\bcombined|\bcumulative|\baggregate",
    "average": r"\baverage|\bmean\b",
    "difference": r"\bdifference|\bexceed|\bgreater|\bhigher|\bmore than\b|\bless\b|\bcompare",
    "each": r"\bper\b|\beach\b",
    "value": r"\bvalue|\bprice|\bworth|\bcost",
    "return": r"\breturn|\binvest|\bperformance|\bindex",
    "condition": r"\bif\b|\bassuming|\bconsidering|\bbased on|\bexclud|\bwithout",
    "scale": r"\bmillion|\bbillion|\bthousand|\bdollar",
}
"""Words by which a question says what is to be computed; a row is wanted by some of them, a sentence by others."""
_KINDS = {name: re.compile(pattern) for name, pattern in QUESTION_KINDS.items()}
_LONGEST_SPAN = 12


def span(found: set[str]) -> set[str]:
    """Two years stand for those between them too: an average "from 2014 to 2016" needs 2015.

    >>> sorted(span({"2014", "2016"})), span({"2014"})
    (['2014', '2015', '2016'], {'2014'})
    """
    if len(found) != 2:
        return found
    first, last = sorted(map(int, found))
    return {str(year) for year in range(first, last + 1)} if last - first < _LONGEST_SPAN else found


def longest_run(first: Sequence[str], second: Sequence[str]) -> int:
    """Length of the longest run of terms that two texts share.

    >>> longest_run(["net", "sale", "2008"], ["total", "net", "sale"])
    2
    """
    best, above = 0, [0] * (len(second) + 1)
    for term in first:
        row = [0] * (len(second) + 1)
        for column, other in enumerate(second):
            if term == other:
                row[column + 1] = above[column] + 1
                best = max(best, row[column + 1])
        above = row
    return best


class FeatureMaker:
    """Describes the units of any page for any question.

    Args:
        encoder: for the similarity of meaning.
        rarity: weight of every known term.
        unseen: weight of other terms.
    """

    def __init__(self, encoder: LSA, rarity: dict[str, float], unseen: float):
        self.encoder = encoder
        self._rarity, self._unseen = rarity, unseen
        self.candidates = lru_cache(maxsize=2048)(lambda page: candidates(page, encoder))

    @classmethod
    def fit(cls, pages: Sequence[Page], dimension: int = 256, seed: int = 0) -> "FeatureMaker":
        """Learn the encoder and how rare a term is from pages; no question is needed.

        Raises:
            CourseError: when the pages hold too few terms.
        """
        chunker = Chunker()
        texts = [[chunk.text for chunk in chunker.chunks(page)] for page in pages]
        encoder = LSA.fit([text for page in texts for text in page], dimension, TERMS, seed)
        having = Counter(term for page in texts for term in {term for text in page for term in TERMS(text)})
        rarity = {term: math.log(1 + (len(pages) - count + 0.5) / (count + 0.5)) for term, count in having.items()}
        return cls(encoder, rarity, math.log(1 + (len(pages) + 0.5) / 0.5))

    def features(self, question: str, page: Page) -> dict[str, np.ndarray]:
        """Every feature by name, float64 [units], units in the order of ``page.source_ids``.

        Raises:
            CourseError: when the question is blank.
        """
        if not question.strip():
            raise CourseError("the question is empty; ask something about the report")
        units = self.candidates(page)
        query = TERMS(question)
        found = dict(units.fixed)
        scores = self._scores(question, query, units)
        found |= {name: values for part in scores for name, values in _relative(part, scores[part], units).items()}
        found |= _around(found, units)
        found |= _years_and_numbers(question, units)
        found |= self._names(question, set(query), units)
        found |= self._page(set(query), units)
        found["longest_run"] = [longest_run(query, terms) for terms in units.terms]
        found["question_terms"] = len(query)
        found |= {f"question_{kind}": bool(pattern.search(question)) for kind, pattern in _KINDS.items()}
        full = np.empty(len(units.rows))
        made = {}
        for name, values in found.items():
            full[:] = values  # a single number holds for every unit
            made[name] = full.copy()
        return made

    def matrix(self, question: str, page: Page) -> np.ndarray:
        """The features as columns, float64 [units, features]; their order is always the same.

        Raises:
            CourseError: as :meth:`features`.
        """
        return np.column_stack(list(self.features(question, page).values()))

    def _weigh(self, terms: Iterable[str]) -> float:
        # fsum is exact, so that the order of a set, which changes from run to run, changes nothing
        return math.fsum(self._rarity.get(term, self._unseen) for term in terms)

    def _scores(self, question: str, query: Sequence[str], units: Candidates) -> dict[str, np.ndarray]:
        """Ways to compare the question with a unit; the last two: which share of the question the unit repeats."""
        distinct = set(query)
        words = {term for term in distinct if not term[0].isdigit()}
        return {
            "bm25": units.bm25.scores(query),
            "bm25_words": units.words.scores(WORDS(question)),
            "bm25_pairs": units.pairs.scores(pairs(query)),
            "tfidf": units.tfidf.scores(question),
            "lsa": (units.vectors @ self.encoder.encode([question])[0]).astype(np.float64),
            "name": units.name_scores.scores(query),
            "covered": self._share(units.terms, distinct),
            "covered_words": self._share(units.terms, words),
        }

    def _share(self, texts: Iterable[Iterable[str]], query: set[str]) -> np.ndarray:
        """Weight of the query's terms that each text has, as a share of the query's."""
        total = self._weigh(query) or 1.0
        return np.array([self._weigh(query.intersection(text)) / total for text in texts])

    def _names(self, question: str, query: set[str], units: Candidates) -> dict:
        """How the question quotes the names of rows."""
        quoted = [len(name & query) / len(name) if name else 0.0 for name in units.names]
        return {
            "name_share_quoted": quoted,
            "name_weight_quoted": [self._weigh(name & query) / (self._weigh(name) or 1) for name in units.names],
            "name_in_question": self._share(units.names, query),
            "name_at": [question.find(name) / len(question) if name else -1 for name in units.name_texts],
            "name_whole": [len(name.split()) if name and name in question else 0 for name in units.name_texts],
            "names_quoted": sum(share > 0.7 for share in quoted),
            "best_name": units.name_scores.scores(list(query)).max(),
        }

    def _page(self, query: set[str], units: Candidates) -> dict:
        """What the page as a whole has of the question, and what only few of its units have."""
        having = Counter(term for terms in units.terms for term in set(terms))
        total = self._weigh(query) or 1.0
        texts, rows = ({term for unit in kind for term in units.terms[unit]} for kind in units.kinds)
        table, text, known, header = self._share([rows, texts, having, units.header_terms], query)
        shared = [query.intersection(terms) for terms in units.terms]
        return {
            "table_covers": table,
            "text_covers": text,
            "page_covers": known,
            "header_covers": header,
            "covers_alone": [self._weigh(t for t in terms if having[t] == 1) / total for terms in shared],
            "covers_rarely": [math.fsum(self._weigh([t]) / having[t] for t in terms) / total for terms in shared],
        }


def _relative(name: str, scores: np.ndarray, units: Candidates) -> dict[str, np.ndarray]:
    """A score, its ratio to the page's best, its rank among all units and among those of its kind."""
    within = np.zeros(len(scores))
    for kind in units.kinds:
        within[kind] = ranks(scores[kind])
    ratio = scores / (scores.max() or 1.0)
    return {name: scores, f"{name}_ratio": ratio, f"{name}_rank": ranks(scores), f"{name}_rank_in_kind": within}


def _around(found: dict[str, np.ndarray], units: Candidates) -> dict:
    """A rough score of each unit, of its neighbours, and the best of either kind."""
    rough = (found["bm25_ratio"] + found["tfidf_ratio"] + found["lsa_ratio"]) / 3 + found["name"] / 4
    before, after = np.zeros(len(rough)), np.zeros(len(rough))
    for kind in units.kinds:
        before[kind[1:]] = rough[kind[:-1]]
        after[kind[:-1]] = rough[kind[1:]]
    texts, rows = (rough[kind].max(initial=0.0) for kind in units.kinds)
    return {
        "rough": rough,
        "rough_rank": ranks(rough),
        "rough_before": before,
        "rough_after": after,
        "best_text": texts,
        "best_row": rows,
    }


def _years_and_numbers(question: str, units: Candidates) -> dict:
    """Shared years and numbers; -1 where the question names no year."""
    asked, given = years(question), set(numbers(question)) - years(question)
    between = span(asked)

    def share(wanted: set[str], found: set[str]) -> float:
        return len(wanted & found) / len(wanted) if wanted else -1.0

    return {
        "years_shared": [len(asked & found) for found in units.years],
        "years_share": [share(asked, found) for found in units.years],
        "span_share": [share(between, found) for found in units.years],
        "years_header": share(asked, units.header_years),
        "years_name": [len(between & found) if between else -1 for found in units.name_years],
        "years_other": [len(found - between) for found in units.years],
        "rows_with_years": sum(map(bool, units.name_years)) / units.rows.sum(),
        "question_years": len(asked),
        "numbers_shared": [len(given & found) for found in units.numbers],
        "question_numbers": len(given),
    }
