"""The index program: its output, its exit codes and its errors."""

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from pydantic_settings import CliApp

from loopbench.spec import Run, RunError, RunSpec, RunState
from loopbench.sweep import IndexExit, LabelledSpec, Sweep
from loopbench_server.config import LEASE, Settings
from loopbench_server.errors import DrainingError, LoopbenchServerError, subclasses
from loopbench_server.store.database import open_database
from loopbench_server.store.store import Store
from loopbench_server.sweep.__main__ import main
from loopbench_server.sweep.program import get_exit_code
from loopbench_server.sweep.settings import SweepSettings
from tests.support.factories import make_result, make_run

pytestmark = pytest.mark.usefixtures("logging_restored")

SWEEP = Sweep(name="two", seeds=(0, 1), specs=(LabelledSpec(label="tape", spec=RunSpec()),))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "sweep.json"
    path.write_text(SWEEP.text)
    return path


class Ended(NamedTuple):
    """Exit code and output of the program."""

    code: object
    stderr: str


Program = Callable[..., Ended]


@pytest.fixture(autouse=True)
def _no_variables_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith(("LOOPBENCH_", "JOB_")):
            monkeypatch.delenv(name)


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Program:
    """Runs the main function with these arguments and variables; it must exit before it trains."""

    def run(*arguments: str | Path, **environment: str) -> Ended:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["loopbench-sweep-index", "--metrics-address", "none", *map(str, arguments)])
        monkeypatch.setattr("loopbench_server.sweep.program.IndexTrainer", lambda *_, **__: pytest.fail("it trains"))
        with pytest.raises(SystemExit) as ended:
            main()
        return Ended(ended.value.code, capsys.readouterr().err)

    return run


@pytest.mark.parametrize("error", subclasses())
def test_every_error_states_whether_to_retry(error: type[LoopbenchServerError]) -> None:
    expected = IndexExit.FAILED if error.retryable else IndexExit.HOPELESS
    assert get_exit_code(error("no")) == (IndexExit.STOPPED if error is DrainingError else expected)


def test_the_codes_are_those_in_the_jobs_failure_policy() -> None:
    assert {code.name: code.value for code in IndexExit} == {"DONE": 0, "FAILED": 1, "HOPELESS": 2, "STOPPED": 143}


def test_settings_are_the_servers_as_far_as_they_make_sense() -> None:
    settings = CliApp.run(SweepSettings, cli_args=["--sweep-file", "/x"])
    server = CliApp.run(Settings, cli_args=[])
    own = SweepSettings.model_fields.keys() - Settings.model_fields.keys()
    assert own == {"sweep_file"}
    differing = {
        name for name in SweepSettings.model_fields.keys() - own if getattr(settings, name) != getattr(server, name)
    }
    assert differing == {"drain_seconds"}
    assert settings.drain_seconds == 0
    assert not {"address", "slots", "tls_key", "tokens_file"} & SweepSettings.model_fields.keys()


@pytest.mark.parametrize("index", [None, "", "2", "-1", "x", "٣", "0x1", "1" * 5_000])
def test_an_invalid_index_is_permanent(program: Program, file: Path, index: str | None) -> None:
    done = program("--sweep-file", file, **({} if index is None else {"JOB_COMPLETION_INDEX": index}))
    assert done.code == IndexExit.HOPELESS
    assert done.stderr == (
        f"loopbench-sweep-index: JOB_COMPLETION_INDEX: must be a number from 0 to 1, not {index or ''!r}\n"
    )


def test_a_bad_file_is_permanent(program: Program, file: Path) -> None:
    file.write_text(SWEEP.text.replace('"epochs": 10', '"epochs": 0').replace("METHOD_GRADIENT_TAPE", "METHOD_MAGIC"))
    done = program("--sweep-file", file, JOB_COMPLETION_INDEX="0")
    assert done.code == IndexExit.HOPELESS
    assert "specs.tape.epochs: " in done.stderr
    assert "specs.tape.method: " in done.stderr
    assert done.stderr.count("\n") == 1


def test_bad_settings_are_permanent(program: Program, file: Path) -> None:
    done = program("--sweep-file", file, "--lease-seconds", "0", JOB_COMPLETION_INDEX="0", LOOPBENCH_LOG_LEVEL="loud")
    assert done.code == IndexExit.HOPELESS
    assert {line.split(": ")[1] for line in done.stderr.splitlines()} == {"--lease-seconds", "--log-level"}


@pytest.mark.parametrize(
    "url",
    [
        "nonsense",
        "postgresql://u:p@ss@db/runs",
        "nosuch://db/runs",
        "mysql+nosuch://db/runs",
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite:////tmp/runs%00.db",
        "sqlite:////tmp/runs.db?mode=ro",
        "sqlite:///file:/tmp/runs.db?mode=ro&uri=true",
        "sqlite://host/runs.db",
    ],
)
def test_an_invalid_store_url_is_permanent(program: Program, file: Path, url: str) -> None:
    done = program("--sweep-file", file, JOB_COMPLETION_INDEX="1", LOOPBENCH_STORE_URL=url)
    assert done.code == IndexExit.HOPELESS
    assert done.stderr.startswith("loopbench-sweep-index: index 1 (tape, seed 1): --store-url: ")
    assert done.stderr.count("\n") == 1


def test_an_unavailable_store_is_retryable(file: Path) -> None:
    url = "postgresql+psycopg://u:secret@127.0.0.1:1/runs"
    command = [sys.executable, "-m", "loopbench_server.sweep", "--metrics-address", "none", "--sweep-file", str(file)]
    environment = os.environ | {"JOB_COMPLETION_INDEX": "1", "LOOPBENCH_STORE_URL": url}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == IndexExit.FAILED
    assert done.stderr.startswith("loopbench-sweep-index: index 1 (tape, seed 1): --store-url: ")
    assert done.stderr.count("\n") == 1
    assert "secret" not in done.stderr


@pytest.mark.timeout(30)
def test_a_run_with_a_permanent_error_is_permanent(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"sqlite:///{tmp_path / 'runs.db'}"
    error = RunError(reason="MEMORY_EXCEEDED", message="no memory", retryable=False)
    spec = SWEEP.index(0).spec
    store = Store(open_database(url), "there", LEASE)
    store.add(make_run(request_id=SWEEP.request_id(0), spec=spec))
    store.update(make_run(request_id=SWEEP.request_id(0), spec=spec, state=RunState.FAILED, error=error))
    store.close()
    monkeypatch.setenv("JOB_COMPLETION_INDEX", "0")
    arguments = ["--metrics-address", "none", "--sweep-file", str(file), "--store-url", url]
    monkeypatch.setattr(sys, "argv", ["loopbench-sweep-index", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == IndexExit.HOPELESS
    assert "MEMORY_EXCEEDED" in capsys.readouterr().err


def test_an_answer_that_cannot_be_printed_is_retryable(
    program: Program, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def train(*_: object) -> Run:
        return make_run(state=RunState.SUCCEEDED, result=make_result())

    def refuse(_: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("loopbench_server.sweep.program._train", train)
    monkeypatch.setattr("loopbench_server.sweep.program.write_line", refuse)
    done = program("--sweep-file", file, JOB_COMPLETION_INDEX="1")
    assert done.code == IndexExit.FAILED
    assert done.stderr == "loopbench-sweep-index: index 1 (tape, seed 1): standard output: No space left on device\n"


@pytest.mark.timeout(60)
def test_the_id_of_the_run_is_printed_before_its_end(file: Path, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'runs.db'}"
    there = make_run(request_id=SWEEP.request_id(1), spec=SWEEP.index(1).spec)
    store = Store(open_database(url), "there", LEASE)
    store.add(there)
    store.close()
    arguments = ["--metrics-address", "none", "--exit-on-stdin-eof", "--sweep-file", str(file), "--store-url", url]
    with subprocess.Popen(
        [sys.executable, "-m", "loopbench_server.sweep", *arguments],
        env=os.environ | {"JOB_COMPLETION_INDEX": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["id"] == there.id
        rest, _ = process.communicate()
    assert (process.returncode, rest) == (IndexExit.STOPPED, b"")
