"""Real server processes, to which the tests of this folder do their worst, and databases to break things on."""

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from tests.support.postgresql import Cluster, cluster, skip_without_postgresql
from tests.support.servers import client, deployment, server, start

__all__ = ["client", "deployment", "server", "start"]

NUMBERS = count()


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Cluster]:
    """A PostgreSQL server. A test that stops it starts it again."""
    skip_without_postgresql()
    with cluster() as made:
        yield made


@pytest.fixture(scope="session")
def new_database(postgresql: Cluster) -> Callable[[], str]:
    """Makes an empty database of PostgreSQL; gives its URL."""
    return lambda: postgresql.database(f"runs{next(NUMBERS)}")


@pytest.fixture
def postgresql_url(new_database: Callable[[], str]) -> str:
    """An empty database of PostgreSQL."""
    return new_database()


@pytest.fixture
def store_url(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """An empty database of the ``kind`` that the test is parametrised by."""
    if kind == "sqlite":
        return f"sqlite:///{tmp_path / 'runs.db'}"
    url: str = request.getfixturevalue("postgresql_url")
    return url
