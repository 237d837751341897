"""Real server processes and databases that the tests of this folder break."""

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
    """A PostgreSQL server; a test that stops it restarts it."""
    skip_without_postgresql()
    with cluster() as made:
        yield made


@pytest.fixture(scope="session")
def new_database(postgresql: Cluster) -> Callable[[], str]:
    """Creates an empty PostgreSQL database and returns its URL."""
    return lambda: postgresql.database(f"runs{next(NUMBERS)}")


@pytest.fixture
def postgresql_url(new_database: Callable[[], str]) -> str:
    """URL of an empty PostgreSQL database."""
    return new_database()


@pytest.fixture
def store_url(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """URL of an empty database of the test's parameter ``kind``."""
    if kind == "sqlite":
        return f"sqlite:///{tmp_path / 'runs.db'}"
    url: str = request.getfixturevalue("postgresql_url")
    return url
