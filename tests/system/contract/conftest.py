"""One suite for every deployment of the server: what a caller sees has to be the same wherever it runs."""

import pytest

from tests.support.containers import as_container, image
from tests.support.servers import Deployment, as_process, client, server, start

__all__ = ["client", "image", "server", "start"]


@pytest.fixture(scope="session", params=["process", "container"])
def deployment(request: pytest.FixtureRequest) -> Deployment:
    if request.param == "process":
        return as_process
    return as_container(request.getfixturevalue("image"))
