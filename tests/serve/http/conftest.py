"""A server with a fake worker, for every dialect's tests."""

import pytest

from tests.serve.http.serving import fake_service, live


@pytest.fixture(scope="module")
def server():
    with live(fake_service()) as running:
        yield running


@pytest.fixture
def worker(server):
    """The server's worker, as new."""
    server.service.worker.__init__()
    server.service.worker.start()
    return server.service.worker
