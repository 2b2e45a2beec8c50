"""The real labs, each executed once a session; everything that needs an executed lab runs on the same worker."""

import pytest

from finqa_lab.course import labs, runner

LABS = labs.lab_names()


@pytest.fixture(scope="session")
def executed():
    """``executed(lab)`` is the result of the lab's smoke run; an unchanged earlier result is reused."""
    results = {}

    def run(lab: str) -> runner.Result:
        if lab not in results:
            (results[lab],) = runner.run(runner.plan([lab], timeout=1200), resume=True)
        return results[lab]

    return run
