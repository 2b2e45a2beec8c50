"""The chapter on measuring has the tables that the library computes, to the letter."""

import pytest

from finqa_lab.files import REPOSITORY
from finqa_lab.serve.simulate.studies import STUDIES, markdown

CHAPTER = REPOSITORY / "book" / "serving" / "measuring.md"


@pytest.mark.parametrize("study", STUDIES, ids=lambda study: study.__name__)
def test_the_chapter_has_the_table(study):
    assert markdown(study()) in CHAPTER.read_text(encoding="utf-8")
