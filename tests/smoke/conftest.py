"""One server for all tests of this folder, with TLS, tokens and all ports; and a second one on its store."""

from collections.abc import Iterator

import pytest

from tests.support.servers import Peers, ServerProcess, client, deployment, start_server
from tests.support.servers import guarded as server

__all__ = ["client", "deployment", "server"]

# Seconds until a killed server's run is lost; several renewals may be late.
LEASE = 5


@pytest.fixture(scope="session")
def peers(server: ServerProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peers]:
    """The second server, which tests may stop, and the shared one."""
    flags = ["--store-url", f"sqlite:///{server.folder / 'runs.db'}", "--lease-seconds", str(LEASE)]
    flags += ["--slots", "1", "--queue-size", "1", "--drain-seconds", "60"]
    folder = tmp_path_factory.mktemp("second")
    made = Peers(lambda _: start_server(folder, *flags), {1: server})
    yield made
    made.stop()
