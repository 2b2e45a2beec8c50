"""What every test shares: offline, one computing thread, and the course's own folder."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("MPLBACKEND", "agg")

from hypothesis import settings  # noqa: E402

# Hypothesis fails an example that takes 0.2 s, which says more about a busy machine than about the code.
settings.register_profile("course", deadline=None)
settings.load_profile("course")


def pytest_collection_modifyitems(items):
    """The long groups first, so that no worker begins one when the others have nothing left to do."""
    first = {"book": 0, "labs": 1, "new-lab": 2}

    def place(item) -> int:
        marks = [mark.args[0] for mark in item.iter_markers("xdist_group")]
        return min((first.get(name, len(first)) for name in marks), default=len(first))

    items.sort(key=place)
