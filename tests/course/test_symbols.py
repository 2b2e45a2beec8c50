"""The index of symbols says what the chapters' formulas use: no letter is missing, and no row is without a use."""

import re

import pytest

from finqa_lab.course.slides import read
from finqa_lab.files import REPOSITORY

GREEK = (
    "alpha beta gamma delta epsilon varepsilon zeta eta theta kappa lambda mu xi pi rho sigma tau phi chi psi omega "
    "Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega ell"
).split()
ROW = re.compile(r"^\| \$(.+?)\$ \| (.+) \| (.*) \| \{doc\}`/book/(.+)` \|$")
PAGE = (REPOSITORY / "book" / "reference" / "symbols.md").read_text(encoding="utf-8")
ROWS = [row.groups() for line in PAGE.splitlines() if (row := ROW.match(line))]
CHAPTERS = read.chapters(REPOSITORY)


def formulas(name):
    """The displayed equations of a chapter, and those in its running text."""
    text = (REPOSITORY / "book" / f"{name}.md").read_text(encoding="utf-8")
    text = re.sub(r"(?ms)^```(.*?)^```$", lambda block: block[0] if block[1].startswith("{") else "", text)
    text = re.sub(r"`[^`\n]+`", "", text)
    displayed = re.findall(r"(?s)\$\$(.*?)\$\$", text)
    text = re.sub(r"(?s)\$\$.*?\$\$", "", text)
    return displayed, re.findall(r"(?<!\\)\$([^$\n]+)\$", text), text


def letters(latex, with_indices=False):
    r"""Letters of a formula that stand for something: no words, no names of functions, and no indices if not asked for.

    ``letters(r"\alpha_{ij} = \log x^n \text{ if}")`` is {"\\alpha", "x", "n"}.
    """
    latex = re.sub(r"\\(text|mathrm|operatorname|begin|end)\*?\s*\{[^{}]*\}", " ", latex)
    latex = re.sub(r"\\mathbb\s*\{?[A-Z]\}?", " ", latex)
    if not with_indices:
        latex = re.sub(r"_(\{[^{}]*\}|\\[A-Za-z]+|[^\\{}\s])", "", latex)
    greek = {f"\\{name}" for name in re.findall(r"\\([A-Za-z]+)", latex) if name in GREEK}
    return greek | set(re.findall(r"[A-Za-z]", re.sub(r"\\[A-Za-z]+", " ", latex)))


def base(symbol):
    """The letter of a symbol without its mark and index: ``\\hat W`` and ``W_{UK}`` are both about W."""
    return re.match(r"(?:\\(?:hat|bar|mathcal)\s*\{?)?(\\?[A-Za-z]+)", symbol)[1]


def listed(name):
    return {base(symbol) for symbol, _, _, chapter in ROWS if chapter == name}


def test_the_letters_of_a_formula_are_those_that_stand_for_something():
    assert letters(r"\alpha_{ij} = \log x^n \text{ if } \mathrm{best}(\hat q)") == {r"\alpha", "x", "n", "q"}
    assert letters(r"d_c", with_indices=True) == {"d", "c"}
    assert [base(one) for one in (r"\hat W", "H_{kv}", r"\mathcal{V}", r"\eta_t")] == ["W", "H", "V", r"\eta"]


@pytest.mark.parametrize("name", CHAPTERS)
def test_every_letter_that_a_chapter_displays_or_introduces_has_a_row(name):
    displayed, _, text = formulas(name)
    used = set().union(*map(letters, displayed)) if displayed else set()
    introduced = re.findall(r"(?:\bwhere|\b[Ll]et|\b[Ww]ith|,) \$(\\?[A-Za-z]+)\$ (?:is|are|be|the|for)\b", text)
    missing = (used | set(introduced)) - listed(name)
    assert missing <= {"e"}, f"no row for {name}"


@pytest.mark.parametrize("name", CHAPTERS)
def test_every_row_is_used_in_its_chapter(name):
    displayed, inline, _ = formulas(name)
    known = set().union(*(letters(one, with_indices=True) for one in displayed + inline), set())
    flat = " ".join("".join(one.split()) for one in displayed + inline)
    for symbol, _, _, chapter in ROWS:
        if chapter == name:
            assert symbol in known or "".join(symbol.split()) in flat, symbol


def test_rows_are_whole_once_each_and_in_order():
    assert len(ROWS) == PAGE.count("{doc}`/book/") > 200, "a line of the table is not read as a row"
    assert len({(symbol, chapter) for symbol, _, _, chapter in ROWS}) == len(ROWS)
    assert {chapter for *_, chapter in ROWS} <= set(CHAPTERS)
    places = [place(symbol) for symbol, *_ in ROWS]
    latin = [one for one in places if one.isascii()]
    assert places == latin + [one for one in places if not one.isascii()] and latin == sorted(latin)


def place(symbol):
    """The letter under which a symbol stands: of Greek ones no more than that they are Greek."""
    letter = base(symbol)
    return "l" if letter == r"\ell" else "Ω" if letter.startswith("\\") else letter.lower()
