"""Commands of the server's package, run in the process of a test."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest


class Ended(NamedTuple):
    """Exit code and output of a command."""

    code: object
    stdout: str
    stderr: str


Command = Callable[..., Ended]


def command_of(
    name: str, main: Callable[[], Any], monkeypatch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[str]
) -> Command:
    """A function that runs ``main`` with the words it is given, as if the shell had called it ``name``."""

    def run(*words: str | Path) -> Ended:
        monkeypatch.setattr(sys, "argv", [name, *map(str, words)])
        code: object = 0
        try:
            main()
        except SystemExit as ended:
            code = ended.code
        out, err = capture.readouterr()
        # Python prints a message and exits with 1.
        return Ended(1, out, f"{err}{code}\n") if isinstance(code, str) else Ended(code, out, err)

    return run
