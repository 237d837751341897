"""A caller must see the same behaviour of a server in a process and in a container of the image.

Tests that depend on the deployment run on both; the tests of tests/smoke also run on the container.
"""

import pytest

from tests.support.containers import as_container, image
from tests.support.servers import Deployment, as_process, client, start
from tests.support.servers import guarded as server

__all__ = ["client", "image", "server", "start"]

IN_CONTAINER = pytest.param("container", marks=pytest.mark.container)


@pytest.fixture(scope="session", params=["process", IN_CONTAINER])
def deployment(request: pytest.FixtureRequest) -> Deployment:
    if request.param == "process":
        return as_process
    return as_container(request.getfixturevalue("image"))
