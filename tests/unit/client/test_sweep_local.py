"""``loopbench sweep --local``, with a stand-in for the index program."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from google.protobuf import json_format
from typer.testing import Result

from loopbench import wire
from loopbench.spec import Method, RunSpec
from loopbench.sweep_file import read_sweep
from loopbench_client.cli.exit_codes import ExitCode
from loopbench_client.sweeping.policy import RETRIES
from tests.support.fake_service import make_run

Cli = Callable[..., Result]
TIMEOUT_SECONDS = 30.0

# "ends" lists the end of each attempt by label; a missing label succeeds, and "wait" waits for SIGTERM.
# It imports only the standard library, because the tests start dozens of these processes.
PROGRAM = """
import json, os, pathlib, signal, sys, time

here = pathlib.Path(__file__).parent
text = pathlib.Path(sys.argv[sys.argv.index("--sweep-file") + 1]).read_text()
sweep, index = json.loads(text), int(os.environ["JOB_COMPLETION_INDEX"])
of_label, of_seed = divmod(index, len(sweep["seeds"]))
label, spec = sweep["specs"][of_label].values()
seed = sweep["seeds"][of_seed]
tried = here / f"tried-{index}"
number = tried.stat().st_size if tried.exists() else 0
with tried.open("a") as file:
    file.write("x")
seen = {"arguments": sys.argv[1:], "token": os.environ.get("LOOPBENCH_TOKEN"), "sweep": text}
(here / f"seen-{index}.json").write_text(json.dumps(seen))
ends = json.loads((here / "ends.json").read_text()).get(label, [0])
end = ends[min(number, len(ends) - 1)]
run = json.loads((here / "run.json").read_text()) | {"id": f"{index}-of-these-runs", "spec": spec | {"seed": seed}}
print(json.dumps(run | {"state": "RUN_STATE_RUNNING"}), flush=True)
if end == "wait":
    signal.signal(signal.SIGTERM, lambda *_: ((here / f"stopped-{index}").touch(), os._exit(143)))
    (here / f"waits-{index}").touch()
    while True:
        time.sleep(0.05)
if end == "stops":
    (here / f"stops-{index}").write_text(str(os.getpid()))
    os.kill(os.getpid(), signal.SIGSTOP)
if end == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
if end:
    print("a line of the log", file=sys.stderr)
    print(f"loopbench-sweep-index: index {index} ({label}, seed {seed}): REASON: no luck", file=sys.stderr)
    sys.exit(end)
print(json.dumps(run | {"state": "RUN_STATE_SUCCEEDED"}))
"""


@pytest.fixture
def folder(server_package: Path) -> Path:
    """Folder for the stand-in's files."""
    made = server_package / "sweep"
    made.mkdir()
    (made / "__init__.py").touch()
    (made / "__main__.py").write_text(PROGRAM)
    (made / "run.json").write_text(json_format.MessageToJson(wire.run_to_wire(make_run())))
    (made / "ends.json").write_text("{}")
    return made


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    file = tmp_path / "ways.yaml"
    file.write_text("seeds: 2\nspecs: {good: , other: {method: fit}}")
    return file


def script(folder: Path, **ends: list[int | str]) -> None:
    (folder / "ends.json").write_text(json.dumps(ends))


def tries(folder: Path) -> list[int]:
    return [len((folder / f"tried-{n}").read_text()) if (folder / f"tried-{n}").exists() else 0 for n in range(4)]


def test_every_index_is_run_and_printed(
    cli: Cli, folder: Path, plan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOOPBENCH_TOKEN", "secret")
    done = cli("sweep", str(plan), "--local")
    assert done.exit_code == ExitCode.SUCCESS, done.stderr
    columns, *rows = [line.split() for line in done.stdout.splitlines()]
    assert columns == ["index", "run", "label", "seed", "state", "train", "validation", "weights", "digest"]
    figures = ["succeeded", "96.86", "%", "96.61", "%", "53554d5f4f46"]
    assert rows == [
        ["0", "0-of-the", "good", "0", *figures],
        ["1", "1-of-the", "good", "1", *figures],
        ["2", "2-of-the", "other", "0", *figures],
        ["3", "3-of-the", "other", "1", *figures],
    ]
    lines = done.stderr.splitlines()
    begin = lines.index("run 3-of-these-runs  index 3 (other, seed 1)")
    assert lines.index("index 3 (other, seed 1): run 3-of-the, 96.86 % / 96.61 % in 12.5 s") > begin
    assert len(lines) == 8
    assert tries(folder) == [1, 1, 1, 1]
    seen = json.loads((folder / "seen-3.json").read_text())
    assert seen["token"] is None, "what is for other servers is not handed on"
    assert seen["arguments"][:3] == ["--metrics-address", "none", "--exit-on-stdin-eof"]
    # The index program reads the same indices from the file.
    file = tmp_path / "sweep.json"
    file.write_text(seen["sweep"])
    indices = [read_sweep(file).index(number) for number in range(4)]
    assert [(index.label, index.spec) for index in indices] == [
        ("good", RunSpec(seed=0)),
        ("good", RunSpec(seed=1)),
        ("other", RunSpec(method=Method.FIT, seed=0)),
        ("other", RunSpec(method=Method.FIT, seed=1)),
    ]


def test_an_index_is_retried_as_in_a_job(cli: Cli, folder: Path, plan: Path) -> None:
    script(folder, other=[1, "killed", 143, 0])
    done = cli("sweep", str(plan), "--local", "--json")
    assert done.exit_code == ExitCode.SUCCESS, done.stderr
    assert tries(folder) == [1, 1, 4, 4]
    printed = json.loads(done.stdout)
    assert printed["name"].startswith("ways-")
    assert [one["tries"] for one in printed["indices"]] == [1, 1, 4, 4]
    assert [one["run"]["id"] for one in printed["indices"]] == [f"{number}-of-these-runs" for number in range(4)]
    assert "index 2 (other, seed 0): tried again, REASON: no luck (log: " in done.stderr
    assert "index 3 (other, seed 1): tried again, killed by signal 9 (log: " in done.stderr


def test_the_tries_are_shown_if_there_were_several(cli: Cli, folder: Path, plan: Path) -> None:
    script(folder, other=[1, 0])
    columns, *rows = [line.split() for line in cli("sweep", str(plan), "--local").stdout.splitlines()]
    assert columns[-1] == "tries"
    assert [row[-1] for row in rows] == ["1", "1", "2", "2"]


def test_an_index_fails_after_the_last_retry(cli: Cli, folder: Path, plan: Path) -> None:
    script(folder, other=[1])
    done = cli("sweep", str(plan), "--local", "--json")
    assert done.exit_code == ExitCode.RUN_FAILED
    assert tries(folder) == [1, 1, RETRIES + 1, RETRIES + 1]
    good, bad = json.loads(done.stdout)["indices"][1:3]
    assert (good["state"], good["exitCode"]) == ("succeeded", 0)
    assert (bad["state"], bad["exitCode"], bad["tries"]) == ("failed", 1, RETRIES + 1)
    assert bad["runId"] == "2-of-these-runs"
    log = Path(bad["error"].partition("(log: ")[2].rstrip(")"))
    assert log.read_text().count("a line of the log") == RETRIES + 1


def test_a_permanent_error_is_not_retried(cli: Cli, folder: Path, plan: Path) -> None:
    script(folder, other=[2])
    done = cli("sweep", str(plan), "--local")
    assert done.exit_code == ExitCode.RUN_FAILED
    assert tries(folder) == [1, 1, 1, 1]
    assert "index 2 (other, seed 0): failed, REASON: no luck" in done.stderr
    rows = [line.split() for line in done.stdout.splitlines()[1:]]
    assert [row[4] for row in rows] == ["succeeded"] * 2 + ["failed"] * 2
    assert [row[1] for row in rows] == [f"{number}-of-the" for number in range(4)]


def test_more_than_half_failed_indices_stop_the_sweep(cli: Cli, folder: Path, plan: Path) -> None:
    script(folder, good=[2], other=[2])
    done = cli("sweep", str(plan), "--local", "--parallelism", "1", "--json")
    assert done.exit_code == ExitCode.RUN_FAILED
    states = [one["state"] for one in json.loads(done.stdout)["indices"]]
    assert states == ["failed", "failed", "failed", "not-ended"]


def test_a_sweep_says_what_it_waits_for(folder: Path, plan: Path) -> None:
    script(folder, good=["wait"])
    before = "from loopbench_client.cli import waiting; waiting.LONG_SECONDS = 0.5"
    with _command(plan, "--parallelism", "1", before=before) as process:
        assert process.stderr is not None
        begin = process.stderr.readline()
        # A busy machine needs longer for the start of the process.
        lines = [process.stderr.readline() for _ in range(1 + begin.startswith("waiting for the start of the runs, "))]
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=TIMEOUT_SECONDS)
    shown = [begin, *lines][-2:]
    assert shown == [
        "run 0-of-these-runs  index 0 (good, seed 0)\n",
        "waiting for the end of 4 runs, 1 at once, without a time limit\n",
    ]


def test_parallelism_limits_concurrent_indices(folder: Path, plan: Path) -> None:
    script(folder, good=["wait"], other=["wait"])
    with _command(plan, "--parallelism", "3") as process:
        _eventually(lambda: len([*folder.glob("waits-*")]) == 3)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=TIMEOUT_SECONDS)
    assert tries(folder) == [1, 1, 1, 0]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_stops_the_processes_and_waits_for_them(folder: Path, plan: Path, number: int) -> None:
    script(folder, good=["wait"])
    with _command(plan, "--parallelism", "2") as process:
        _eventually(lambda: len([*folder.glob("waits-*")]) == 2)
        process.send_signal(number)
        _, stderr = process.communicate(timeout=TIMEOUT_SECONDS)
    assert process.returncode == ExitCode.INTERRUPTED
    assert {path.name for path in folder.glob("stopped-*")} == {"stopped-0", "stopped-1"}
    assert tries(folder) == [1, 1, 0, 0]
    assert stderr.splitlines()[-2:] == [
        "the same command again resumes here: finished runs are not repeated",
        "interrupted",
    ]


def test_a_process_that_does_not_end_is_killed(folder: Path, plan: Path) -> None:
    script(folder, good=["stops"])
    with _command(plan, "--parallelism", "2", before="sweeping.local.STOP_TIMEOUT = 0.1") as process:
        _eventually(lambda: sum(bool(file.read_text()) for file in folder.glob("stops-*")) == 2)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=TIMEOUT_SECONDS)
    assert process.returncode == ExitCode.INTERRUPTED
    assert not any(psutil.pid_exists(int(file.read_text())) for file in folder.glob("stops-*"))


@pytest.mark.parametrize("name", ["loopbench_server", "tensorflow"])
def test_a_base_install_says_what_to_do(name: str, cli: Cli, plan: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loopbench_client.embedded.find_spec", lambda asked: None if asked == name else object())
    done = cli("sweep", str(plan), "--local")
    assert done.exit_code == ExitCode.UNAVAILABLE
    assert name in done.stderr
    assert "extra 'server'" in done.stderr


@contextmanager
def _command(plan: Path, *flags: str, before: str = "pass") -> Iterator[subprocess.Popen[str]]:
    # A shell's background process ignores SIGINT, and its children inherit that.
    code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    code += f"from loopbench_client import sweeping; from loopbench_client.cli import main; {before}; main()"
    command = [sys.executable, "-c", code, "sweep", str(plan), "--local", *flags]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def _eventually(condition: Callable[[], Any]) -> None:
    end = time.monotonic() + TIMEOUT_SECONDS
    while not condition():
        assert time.monotonic() < end, "the condition was not met in time"
        time.sleep(0.05)
