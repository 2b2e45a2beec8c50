"""A toy course in a temporary folder."""

import pytest

from tests.course import toy


@pytest.fixture
def toy_course(tmp_path, monkeypatch):
    """``toy_course(l01_name=notebook, ...)`` writes a course and makes it the current one; returns its folder."""

    def make(**labs):
        monkeypatch.setenv("FINQA_LAB_COURSE", str(tmp_path))
        return toy.course(tmp_path, **labs)

    return make
