"""What students and readers of the code read is spelled right: a list of common misspellings, and a dictionary.

The dictionary is that of pyspellchecker; ``tests/words.txt`` has the words of the field, the names, and the British
spellings that it does not know. A new word belongs there only after somebody has looked at it.
"""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from finqa_lab.course import labs, teaching
from finqa_lab.files import REPOSITORY

PAGES = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")
KNOWN = REPOSITORY / "tests" / "words.txt"


def texts() -> Iterator[tuple[str, str]]:
    """Name and prose of each page, each lab's Markdown, the hints of the checks, and each module's docstrings."""
    for path in [*(REPOSITORY / name for name in PAGES), *sorted((REPOSITORY / "book").rglob("*.md"))]:
        yield path.relative_to(REPOSITORY).as_posix(), path.read_text(encoding="utf-8")
    for lab in labs.lab_names():
        cells = labs.read_notebook(labs.solution_path(lab)).cells
        yield f"solutions/{lab}.ipynb", "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    yield "the hints of the checks", teaching.misconceptions_page() + teaching.outcomes_page()
    for path in sorted((REPOSITORY / "finqa_lab").rglob("*.py")):
        yield path.relative_to(REPOSITORY).as_posix(), docstrings(path)


def docstrings(path: Path) -> str:
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, kinds)]
    found = [ast.get_docstring(node) or "" for node in nodes]
    return "\n\n".join(re.sub(r"(?m)^ *>>>.*(\n.+)*", "", text) for text in found)  # examples are no prose


def words(text: str) -> set[str]:
    """The words of a text's prose: no code, formulas, addresses, citations, abbreviations; none below four letters."""
    for pattern in (r"(?ms)^```.*?^```", r"``[^`]*``|`[^`]*`", r"(?s)\$\$.*?\$\$", r"\$[^$]*\$",
                    r"\{cite[^}]*\}`[^`]*`", r"\]\([^)]*\)", r"https?://\S+", r"<[^>]+>",
                    r"\{[\w:]+\}", r":\w+:"):  # fmt: skip
        text = re.sub(pattern, " ", text)
    found = {re.sub(r"['’]s?$", "", word) for word in re.findall(r"[^\W\d_]+(?:['’][^\W\d_]+)?", text)}
    return {word for word in found if len(word) > 3 and not word.isupper() and not re.search("[a-z][A-Z]", word)}


@pytest.fixture(scope="module")
def dictionary():
    spellchecker = pytest.importorskip("spellchecker", reason="pyspellchecker is not installed")
    known = set(KNOWN.read_text(encoding="utf-8").split())
    english = spellchecker.SpellChecker(language="en").word_frequency.dictionary
    return lambda word: word.lower() in english or word.lower() in known


def test_every_word_is_in_the_dictionary_or_on_the_list(dictionary):
    unknown = {}
    for name, text in texts():
        for word in words(text):
            if not dictionary(word):
                unknown.setdefault(word, name)
    assert not unknown, f"misspelled, or to be added to tests/words.txt: {unknown}"


def test_the_list_is_sorted_and_in_lower_case():
    listed = KNOWN.read_text(encoding="utf-8").split()
    assert listed == sorted(set(listed)) and all(word == word.lower() for word in listed)


def test_a_misspelled_word_is_noticed(dictionary):
    text = "The tokeniser recieves `teh` text of $wrds$ (see [a pge](pge.html)).\n\n```\ncodd\n```\n"
    assert [word for word in sorted(words(text)) if not dictionary(word)] == ["recieves", "tokeniser"]


def test_there_is_no_common_misspelling():
    pytest.importorskip("codespell_lib", reason="codespell is not installed")
    places = [*PAGES, "book", "finqa_lab", "tests", "benchmarks", "deploy", ".github", "Makefile", "Dockerfile"]
    command = [sys.executable, "-m", "codespell_lib", "--toml", "pyproject.toml", *places]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_there_is_no_common_misspelling_in_the_labs():
    library = pytest.importorskip("codespell_lib._codespell", reason="codespell is not installed")
    assert library.__file__
    prose = "\n".join(text for name, text in texts() if name.startswith(("solutions/", "the hints")))
    command = [sys.executable, "-m", "codespell_lib", "--toml", str(REPOSITORY / "pyproject.toml"), "-"]
    done = subprocess.run(command, input=prose, capture_output=True, text=True)
    assert not done.stdout and done.returncode == 0, done.stdout
