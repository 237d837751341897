"""The quick tests of one server on a container, except those that inspect processes or end a server."""

import inspect

import pytest

from tests.smoke import test_server
from tests.smoke.test_server import channel, trained

from .conftest import IN_CONTAINER

__all__ = ["channel", "trained"]

pytestmark = pytest.mark.parametrize("deployment", [IN_CONTAINER], indirect=True, scope="session")

# These inspect processes of this machine or the text of the server's log.
LEFT_OUT = {
    "test_cancel_ends_the_process",
    "test_deadline_cancels_the_run",
    "test_killed_forkserver_is_replaced",
    "test_killed_worker_fails_the_run_and_a_retry_succeeds",
    "test_a_used_port_is_an_error",
}


def _on_one_server(name: str, value: object) -> bool:
    """Whether ``value`` is a test of a single server."""
    return name.startswith("test_") and inspect.isfunction(value) and "peers" not in inspect.signature(value).parameters


globals().update(
    {name: value for name, value in vars(test_server).items() if _on_one_server(name, value) and name not in LEFT_OUT}
)
