"""The quick tests of one server, on a container, but for those that look at processes or end a server."""

import inspect

import pytest

from tests.smoke import test_server
from tests.smoke.test_server import channel, trained

from .conftest import IN_CONTAINER

__all__ = ["channel", "trained"]

pytestmark = pytest.mark.parametrize("deployment", [IN_CONTAINER], indirect=True, scope="session")

# They look at processes of this machine, or at the text of what the server writes to its log.
LEFT_OUT = {
    "test_cancel_ends_the_process",
    "test_deadline_takes_the_run_along",
    "test_killed_forkserver_is_replaced",
    "test_killed_worker_fails_the_run_and_a_retry_brings_the_result",
    "test_port_taken",
}


def _on_one_server(name: str, value: object) -> bool:
    """Whether ``value`` is a test that needs no second server."""
    return name.startswith("test_") and inspect.isfunction(value) and "peers" not in inspect.signature(value).parameters


globals().update(
    {name: value for name, value in vars(test_server).items() if _on_one_server(name, value) and name not in LEFT_OUT}
)
