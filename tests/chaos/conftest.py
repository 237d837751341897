"""A real server process, which the tests of this folder do their worst to, and databases to break things on."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.postgresql import Cluster, cluster, program
from tests.support.servers import client, deployment, server, start

__all__ = ["client", "deployment", "server", "start"]


@pytest.fixture
def postgresql() -> Iterator[Cluster]:
    """A PostgreSQL server of the test's own."""
    if program("initdb") is None:
        pytest.skip("PostgreSQL is not installed")
    with cluster() as made:
        yield made


@pytest.fixture
def store_url(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """A new database of the ``kind`` that the test is parametrised by."""
    if kind == "sqlite":
        return f"sqlite:///{tmp_path / 'runs.db'}"
    url: str = request.getfixturevalue("postgresql").url
    return url
