"""Checks of lab 10: a table row as sentences, and BM25 from its formula."""

import math
import random
from collections import Counter
from collections.abc import Iterator

from finqa_lab.course.checking import Case, Check, WrongAnswer, register


def row_cases(rng: random.Random) -> Iterator[Case]:
    """A table's header and one of its rows."""
    yield Case(["", "2018"], ["tools", "$ 384.3"])
    yield Case(["", "2018", "2017"], ["tools", "$ 384.3", "$ 306.7"])
    yield Case(
        ["( in millions )", "2018", "2017"], ["net sales", "500.0", "400.0"], note="the corner cell has the unit"
    )
    yield Case(["", "2018", "2017"], ["loss", "-3 ( 3 )", ""], note="an empty cell is a clause, too")
    for _ in range(3):
        years = [str(2019 - i) for i in range(rng.randrange(2, 6))]
        yield Case(["( in thousands )", *years], ["interest expense", *(str(rng.randrange(10, 900)) for _ in years)])


def _row(header, row, corner=True, swapped=False, shift=0, cells=None, end=" ;") -> str:
    clauses = []
    for column, cell in list(zip(header[1 - shift :], row[1:]))[:cells]:
        name, of = (column, row[0]) if swapped else (row[0], column)
        clauses.append(f"the {name} of {of} is {cell}{end}")
    return " ".join(" ".join([header[0] if corner else "", *clauses]).split())


register(
    Check(
        name="rag.row_sentences",
        task="a table row in words: one clause for each cell",
        cases=row_cases,
        oracle=_row,
        same=lambda expected, got: isinstance(got, str) and expected.split() == got.split(),
        why="a row that is found alone must still say what its numbers are: the header stays on the page.",
        hint='first the header\'s corner cell, then "the NAME of COLUMN is CELL ;" for every cell behind the name.',
        wrong=[
            WrongAnswer(
                "corner cell left out",
                lambda header, row: _row(header, row, corner=False),
                "begin with the header's first cell: it often has the unit, such as ( in millions ).",
            ),
            WrongAnswer(
                "columns moved by one",
                lambda header, row: _row(header, row, shift=1),
                "the cell behind the name belongs to the second header cell: leave out the first of both.",
            ),
            WrongAnswer(
                "name and column exchanged",
                lambda header, row: _row(header, row, swapped=True),
                "it reads the NAME of COLUMN: the row's name first, then the year above the cell.",
            ),
            WrongAnswer(
                "first cell only",
                lambda header, row: _row(header, row, cells=1),
                "every cell gets a clause, not only the first: a change needs two years.",
            ),
            WrongAnswer(
                "clauses run together",
                lambda header, row: _row(header, row, end=""),
                "end each clause with a space and a semicolon, as the data set does.",
            ),
        ],
    )
)


def search_cases(rng: random.Random) -> Iterator[Case]:
    """Terms of a question, and the documents as lists of terms."""
    sales, tax = ["net", "sales"], ["income", "tax", "rate"]
    yield Case(["tax"], [sales, tax])
    yield Case(["net"], [sales, ["net", "net", "income"], tax], note="a repeated term")
    yield Case(["sales"], [sales, ["sales", "of", "tools", "in", "three", "regions"], ["sales"]], note="lengths differ")
    yield Case(["net", "tax", "net"], [sales, tax, ["net", "tax"]], note="the question repeats a term")
    yield Case(["dividend"], [sales, tax], note="a term that no document has")
    for _ in range(4):
        documents = [[rng.choice("abcdefg") for _ in range(rng.randrange(1, 9))] for _ in range(rng.randrange(3, 8))]
        yield Case([rng.choice("abcdefgh") for _ in range(3)], documents)


def _bm25(query, documents, k1=1.5, b=0.75, plus=1.0, count="documents", saturate=True, repeat=True, factor=1.0):
    mean = sum(map(len, documents)) / len(documents)
    scores = []
    for document in documents:
        counts, total = Counter(document), 0.0
        for term in query if repeat else dict.fromkeys(query):
            having = sum(term in other if count == "documents" else other.count(term) for other in documents)
            odds = (len(documents) - having + 0.5) / (having + 0.5)
            idf = math.log(plus + odds) if plus + odds > 0 else 0.0
            tf = counts[term]
            part = tf / (tf + k1 * (1 - b + b * len(document) / mean)) if saturate else tf
            total += factor * idf * part
        scores.append(total)
    return scores


register(
    Check(
        name="rag.bm25",
        task="BM25 score of every document for a question",
        cases=search_cases,
        oracle=_bm25,
        why="this formula of the 1990s is what every newer retriever is compared with, and it is often hard to beat.",
        hint="for each term of the question: n is the number of documents that have it; add idf times the fraction.",
        wrong=[
            WrongAnswer(
                "idf without one plus",
                lambda query, documents: _bm25(query, documents, plus=0.0),
                "without the 1 in ln(1 + ...), a term in more than half of the documents gets a negative weight.",
            ),
            WrongAnswer(
                "occurrences counted instead of documents",
                lambda query, documents: _bm25(query, documents, count="all"),
                "n is the number of documents that have the term; a document that repeats it counts once.",
            ),
            WrongAnswer(
                "length ignored",
                lambda query, documents: _bm25(query, documents, b=0.0),
                "the denominator has b times the document's length over the mean length: long ones are discounted.",
            ),
            WrongAnswer(
                "no saturation",
                lambda query, documents: _bm25(query, documents, saturate=False),
                "that is TF-IDF: in BM25, tf stands over tf plus something, so that the tenth repetition adds little.",
            ),
            WrongAnswer(
                "question's terms taken once",
                lambda query, documents: _bm25(query, documents, repeat=False),
                "the sum runs over the terms of the question as they stand: one that is repeated counts twice.",
            ),
            WrongAnswer(
                "with the factor k1 + 1",
                lambda query, documents: _bm25(query, documents, factor=2.5),
                "the ranking is right; the formula above leaves out the constant factor k1 + 1 of older texts.",
            ),
        ],
    )
)
