"""What a caller sees has to be the same wherever a server runs: as a process, and in a container of the image.

What depends on the deployment runs on both; the tests of tests/smoke run on the container, too.
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
