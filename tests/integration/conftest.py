"""A real server process, for all tests of this folder that leave it as it is or start their own."""

from tests.servers import PATIENCE, SECONDS_TO_READY, ServerProcess, Start, client, eventually, server, start

__all__ = ["PATIENCE", "SECONDS_TO_READY", "ServerProcess", "Start", "client", "eventually", "server", "start"]
