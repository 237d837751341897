"""Two servers on one PostgreSQL answer for each other's runs; the quick tests cover SQLite."""

from collections.abc import Callable, Iterator

import pytest

from tests.smoke.test_server import (
    test_a_run_is_cancelled_by_the_other_server,
    test_a_run_is_watched_and_waited_for_at_the_other_server,
    test_the_other_server_fails_and_retrains_a_dead_servers_run,
)
from tests.support.servers import Peers, start_server

__all__ = [
    "test_a_run_is_cancelled_by_the_other_server",
    "test_a_run_is_watched_and_waited_for_at_the_other_server",
    "test_the_other_server_fails_and_retrains_a_dead_servers_run",
]

pytestmark = pytest.mark.slow

LEASE = 5


@pytest.fixture(scope="module")
def peers(new_database: Callable[[], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peers]:
    folders = [tmp_path_factory.mktemp("peer") for _ in range(2)]
    flags = ("--store-url", new_database(), "--lease-seconds", str(LEASE), "--slots", "1", "--drain-seconds", "0")
    made = Peers(lambda number: start_server(folders[number], *flags))
    yield made
    made.stop()
