"""A real server process, which the tests of this folder do their worst to."""

from tests.servers import start

__all__ = ["start"]
