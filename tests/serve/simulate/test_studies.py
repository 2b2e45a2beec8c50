"""The chapters on serving have the tables that the library computes, to the letter."""

import pytest

from finqa_lab.files import REPOSITORY
from finqa_lab.serve.simulate import engine_studies, studies

CHAPTERS = [("measuring.md", study) for study in studies.STUDIES]
CHAPTERS += [("index.md", study) for study in engine_studies.STUDIES]


@pytest.mark.parametrize("chapter, study", CHAPTERS, ids=lambda value: getattr(value, "__name__", value))
def test_the_chapter_has_the_table(chapter, study):
    text = (REPOSITORY / "book" / "serving" / chapter).read_text(encoding="utf-8")
    assert studies.as_markdown(study()) in text
