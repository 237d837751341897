"""The line that names the experiment in progress."""

import io

import pytest

from loopbench_diagnose.progress import shown


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_shows_one_line_and_clears_it() -> None:
    terminal = Terminal()
    with shown(None, terminal) as progress:
        progress("first gradients", 0, 7)
        progress("x" * 200, 1, 7)
    lines = terminal.getvalue().split("\r\x1b[K")
    assert lines[1] == "diagnosing, 1 of 7: first gradients"
    assert len(lines[2]) == 78
    assert (lines[-1], "\n" in terminal.getvalue()) == ("", False)


def failing(terminal: Terminal) -> None:
    with shown(None, terminal) as progress:
        progress("first gradients", 0, 7)
        raise ZeroDivisionError


def test_the_line_is_cleared_after_an_error() -> None:
    terminal = Terminal()
    with pytest.raises(ZeroDivisionError):
        failing(terminal)
    assert terminal.getvalue().endswith("\r\x1b[K")


def test_a_pipe_shows_nothing() -> None:
    pipe = io.StringIO()
    with shown(None, pipe) as progress:
        progress("first gradients", 0, 7)
    assert pipe.getvalue() == ""


def test_a_callback_is_called_instead() -> None:
    seen: list[tuple[str, int, int]] = []
    terminal = Terminal()
    with shown(lambda *call: seen.append(call), terminal) as progress:
        progress("first gradients", 0, 7)
    assert (seen, terminal.getvalue()) == ([("first gradients", 0, 7)], "")
