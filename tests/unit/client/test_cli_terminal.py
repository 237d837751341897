"""Live displays on a terminal: what else is printed stands in complete lines above them."""

from collections.abc import Callable
from typing import Any

import grpc
import pytest
from typer.testing import CliRunner, Result

from loopbench_client.cli import app
from tests.support.fake_service import RUN_ID
from tests.support.screen import Screen

WIDTH = 80
Terminal = Callable[..., list[str]]
TWO = ("compare", "--spec", "a: method=fit", "--spec", "b:", "--seeds", "1")


@pytest.fixture
def terminal(address: str, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Runs ``loopbench`` on a terminal, and returns what it shows in the end."""
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    environment = {"LOOPBENCH_SERVER": address, "COLUMNS": str(WIDTH), "TERM": "xterm"}

    def run(*words: str) -> list[str]:
        done: Result = CliRunner().invoke(app, words, env=environment)
        return Screen(WIDTH, done.stderr).lines

    return run


def paragraph(lines: list[str], begin: str) -> str:
    """The text of the line that begins like this, with the rows in which it continues."""
    place = next((n for n, line in enumerate(lines) if line.startswith(begin)), None)
    assert place is not None, lines
    end = next(n for n, line in enumerate(lines[place:], start=place) if len(line) < WIDTH)
    return "".join(lines[place : end + 1])


@pytest.mark.parametrize(
    ("words", "again"), [(("train",), "requested"), (("watch", RUN_ID), "watched"), (TWO, "requested")]
)
def test_a_lost_server_is_a_line_above_the_display(
    terminal: Terminal, service: Any, status: Any, words: tuple[str, ...], again: str
) -> None:
    service.event_seconds = 0.3
    service.broken_watches.append((2, status(grpc.StatusCode.UNAVAILABLE, "Socket closed")))
    shown = paragraph(terminal(*words), "the server at ")
    assert f"is lost (Socket closed); run {RUN_ID} is {again} again in " in shown
    assert shown.endswith(" at the latest")


def test_a_cancelled_run_is_named_above_the_display(terminal: Terminal, service: Any) -> None:
    service.hold = True
    service.event_seconds = 1.0
    shown = paragraph(terminal("train", "--timeout", "1.5"), f"run {RUN_ID} is ")
    assert shown == f"run {RUN_ID} is cancelled, unless another caller waits for it"
