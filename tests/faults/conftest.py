"""A real server process, which the tests of this folder do their worst to."""

from tests.servers import client, server, start

__all__ = ["client", "server", "start"]
