"""The client that a command works with, and whether its server answers."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from loopbench_client.channel import DEFAULT_TIMEOUT
from loopbench_client.cli.access_flags import given_access
from loopbench_client.cli.waiting import waiting
from loopbench_client.client import Client
from loopbench_client.embedded import READY_TIMEOUT, START_TIMEOUT, embedded_server


@contextmanager
def connect(server: str | None, *, ready: bool = False) -> Iterator[Client]:
    """A client of the server at HOST:PORT, or of one that is started here and ends with the block.

    ``ready`` says that the command needs the training process: a server started here is waited for.
    """
    with ExitStack() as stack:
        if server:
            access = given_access()
            yield stack.enter_context(Client(server, token=access.token, tls=access.tls))
            return
        with waiting("the start of a server on this machine", START_TIMEOUT):
            embedded = stack.enter_context(embedded_server())
        client = stack.enter_context(Client(embedded.address))
        if ready:
            with waiting("the training process of that server", READY_TIMEOUT):
                embedded.wait_ready(client)
        yield client


def await_answer(client: Client) -> None:
    """Waits until the server answers: only then a command waits for the work of the server.

    Raises:
        LoopbenchError: the server does not answer, or refuses the caller.
    """
    with waiting("the answer of the server", DEFAULT_TIMEOUT):
        client.get_server_info()
