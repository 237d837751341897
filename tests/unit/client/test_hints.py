"""Every error of the server as the command line shows it."""

import re
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import grpc
import pytest
from google.rpc import status_pb2
from typer.testing import Result

from loopbench import spec
from loopbench.spec import RunState
from loopbench_client import Client, LoopbenchError
from loopbench_client.cli.exit_codes import EXIT_CODES, ExitCode
from loopbench_server.errors import LoopbenchServerError, subclasses
from loopbench_server.rpc.error_mapping import STATUSES, to_status

Cli = Callable[..., Result]
Kind = type[LoopbenchServerError]
# gRPC status → exit code in README and --help.
EXITS = {
    "INVALID_ARGUMENT": ExitCode.BAD_INPUT,
    "NOT_FOUND": ExitCode.NOT_FOUND,
    "UNAUTHENTICATED": ExitCode.NO_ACCESS,
    "PERMISSION_DENIED": ExitCode.NO_ACCESS,
    "UNAVAILABLE": ExitCode.UNAVAILABLE,
    "RESOURCE_EXHAUSTED": ExitCode.REFUSED,
    "ALREADY_EXISTS": ExitCode.REFUSED,
    "FAILED_PRECONDITION": ExitCode.REFUSED,
    "DEADLINE_EXCEEDED": ExitCode.DEADLINE,
}

# Methods, fields and values as the contract spells them.
CONTRACT = re.compile(r"\b(?:GetServerInfo|ListRuns|GetRun|[a-z]+_id|AUTO|DIGITS|GRAPH|SUCCEEDED)\b")

every_error = pytest.mark.parametrize("kind", subclasses(), ids=lambda kind: kind.reason)


def sent(kind: Kind) -> status_pb2.Status:
    """The server's status for such an error."""
    metadata = dict(to_status(kind("that is why", run_id="r9")).trailing_metadata)
    return status_pb2.Status.FromString(metadata["grpc-status-details-bin"])


@every_error
def test_the_command_line_shows_the_hint(kind: Kind, cli: Cli, service: Any) -> None:
    # DeleteRun, because the client does not retry it.
    service.failures["DeleteRun"].append(sent(kind))
    done = cli("delete", "x")
    first, *_, last = done.stderr.splitlines()
    assert first.startswith("error: ")
    assert first.endswith("that is why")
    assert last.startswith("hint: ")
    assert CONTRACT.search(last) is None
    if CONTRACT.search(kind.hint) is None:
        assert last == f"hint: {kind.hint}"
    assert done.exit_code == EXITS.get(STATUSES[kind].name, ExitCode.RUN_FAILED)
    assert done.stdout == ""


@every_error
def test_the_client_error_has_reason_and_hint(kind: Kind, client: Client, service: Any) -> None:
    service.failures["DeleteRun"].append(sent(kind))
    with pytest.raises(LoopbenchError) as caught:
        client.delete_run("x")
    assert (caught.value.reason, caught.value.hint) == (kind.reason, kind.hint)
    assert EXIT_CODES[type(caught.value)] == EXITS.get(STATUSES[kind].name, ExitCode.RUN_FAILED)


@pytest.mark.parametrize("command", ["show", "watch"])
def test_a_run_that_failed_shows_its_hint(
    command: str, cli: Cli, service: Any, make_served_run: Callable[..., Any]
) -> None:
    error = spec.RunError(reason="WORKER_LOST", message="killed", hint="Send it again.")
    failed = make_served_run(state=RunState.FAILED, result=None, error=error)
    service.runs, service.events = [failed], [spec.RunEvent(state=RunState.FAILED, run=failed)]
    lines = cli(command, "x").stdout.splitlines()
    assert lines[lines.index("WORKER_LOST: killed") + 1] == "hint: Send it again."


def test_a_comparison_shows_the_hint_of_a_run_that_failed(cli: Cli, service: Any, status: Any, info: Any) -> None:
    details = info("WORKER_LOST", run_id="r9", hint="Send it again.")
    service.failures["Train"].append(status(grpc.StatusCode.ABORTED, "killed", details))
    flags = ("--spec", "tape: method=gradient-tape", "--spec", "fit: method=fit", "--seeds", "1")
    assert "  hint: Send it again." in cli("compare", *flags).stderr.splitlines()


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (grpc.StatusCode.UNAVAILABLE, "check the address"),
        (grpc.StatusCode.DEADLINE_EXCEEDED, "allow more time"),
        (grpc.StatusCode.UNIMPLEMENTED, "the server's version"),
    ],
)
def test_what_grpc_itself_says_has_a_hint_too(
    code: grpc.StatusCode, words: str, cli: Cli, service: Any, status: Any
) -> None:
    service.failures["DeleteRun"].append(status(code, "no"))
    assert words in cli("delete", "x").stderr.splitlines()[-1]


@pytest.mark.parametrize("addresses", ["127.0.0.1:1,127.0.0.1:{port}", "127.0.0.1:{port},127.0.0.1:1"])
def test_the_hint_names_tls_whatever_address_failed_last(addresses: str, cli: Cli) -> None:
    # Like a server with TLS, the listener ends every connection without an answer; nothing listens on the other port.
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=hang_up, args=(listener,), daemon=True).start()
        target = "ipv4:" + addresses.format(port=listener.getsockname()[1])
        assert "--tls" in cli("delete", "x", "--server", target).stderr.splitlines()[-1]


def hang_up(listener: socket.socket) -> None:
    """Close every connection until the listener is closed."""
    with suppress(OSError):
        while True:
            listener.accept()[0].close()


def test_without_a_server_the_hint_names_what_to_check(cli: Cli) -> None:
    done = cli("delete", "x", "--server", "127.0.0.1:1")
    assert done.exit_code == ExitCode.UNAVAILABLE
    assert done.stderr.splitlines()[-1].startswith("hint: check the address")
