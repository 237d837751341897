"""Texts of the command line that are not UTF-8, or that the locale cannot decode."""

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import Result

from loopbench_client.cli.exit_codes import ExitCode
from tests.support.fake_service import RUN_ID

# How Python passes on the byte 0xff.
BAD = "\udcff"
PLACES = {
    ("train", "--name"): "--name",
    ("train", "--request-id"): "--request-id",
    ("train", "--label"): "--label",
    ("train", "--optimizer-option"): "--optimizer-option",
    ("runs", "--name"): "--name",
    ("runs", "--created-after"): "--created-after",
    ("show",): "RUN_ID",
    ("watch",): "RUN_ID",
    ("delete", RUN_ID): "RUN_ID",
    ("tensorboard",): "RUN_ID",
    ("diagnose", RUN_ID): "SECOND",
    ("compare", "--spec"): "--spec",
    ("compare",): "GROUPS",
    ("sweep", "plan.yaml", "--name"): "--name",
}


@pytest.mark.parametrize("words", PLACES, ids=" ".join)
def test_a_text_that_is_not_utf_8_is_named(words: tuple[str, ...], cli: Callable[..., Result], service: Any) -> None:
    done = cli(*words, f"a={BAD}")
    assert done.exit_code == ExitCode.BAD_INPUT
    assert done.stderr.splitlines() == ["error: some values are not valid", f"  {PLACES[words]}: is not UTF-8"]
    assert not service.requests


@pytest.mark.parametrize("server", [f"{BAD}:1", f"127.0.0.1{BAD}:1"])
def test_a_server_that_is_not_utf_8_is_named(server: str, cli: Callable[..., Result]) -> None:
    done = cli("info", "--server", server)
    assert done.exit_code == ExitCode.BAD_INPUT
    assert "--server" in done.stderr


def test_utf_8_is_accepted_in_every_locale(address: str, service: Any) -> None:
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    words: list[str | bytes] = [
        sys.executable,
        "-c",
        "from loopbench_cli import main; main()",
        "train",
        "--name",
        "naïve".encode(),
    ]
    done = subprocess.run(
        [*words, "--label", "größe=ä".encode(), "--label", "a=ä".encode(), "--server", address],
        env=os.environ | locale,
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == ExitCode.BAD_INPUT
    assert b"Traceback" not in done.stderr
    done = subprocess.run(
        [*words, "--label", "a=ä".encode(), "--server", address], env=os.environ | locale, check=False, timeout=60
    )
    assert done.returncode == ExitCode.SUCCESS
    (request,) = service.requests["Train"]
    assert (request.name, request.labels) == ("naïve", {"a": "ä"})
