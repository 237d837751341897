"""Functions that XLA compiled for one run are reused by the next, until the server ends."""

import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from loopbench.spec import Dataset, Execution, RunSpec
from loopbench_client import Client
from tests.support.servers import Start, eventually

pytestmark = pytest.mark.slow

SPEC = RunSpec(dataset=Dataset.DIGITS, epochs=1, execution=Execution.XLA)
MOST_KEPT = 1_000


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The temporary folder of the servers.

    It has a space, because XLA gets the path in a line of flags. pytest's folder has too long a path for sockets.
    """
    with tempfile.TemporaryDirectory(prefix="t mp") as folder:
        monkeypatch.setenv("TMPDIR", folder)
        yield Path(folder)


def folders(temporary: Path) -> list[Path]:
    """Cache folders of compiled functions: one while the server runs."""
    return [*temporary.glob("loopbench-xla-*")]


def kept(temporary: Path) -> dict[str, int]:
    """Names and times of the compiled functions."""
    files = [file for folder in folders(temporary) for file in folder.iterdir() if file.is_file()]
    return {file.name: file.stat().st_mtime_ns for file in files}


def digest(client: Client) -> str:
    result = client.train(SPEC).result
    assert result is not None
    return result.weights_digest


def test_compiled_functions_are_reused_bounded_and_removed_with_the_server(start: Start, temporary: Path) -> None:
    server = start("--standby-workers", "0")
    server.wait_ready()
    assert not kept(temporary)
    before = {*temporary.rglob("*")}
    with server.client() as client:
        assert client.train(SPEC.model_copy(update={"execution": Execution.GRAPH})).result
        assert {*temporary.rglob("*")} == before, "runs leave no temporary files"

        first = digest(client)
        compiled = kept(temporary)
        assert compiled
        assert digest(client) == first
        assert client.train(SPEC.model_copy(update={"seed": 1})).result
        assert kept(temporary) == compiled, "nothing is compiled again"

        (folder,) = folders(temporary)
        for number in range(MOST_KEPT - len(compiled)):
            (folder / f"{number}.pb").touch()
        # Other functions, for which the cache has no space.
        assert client.train(SPEC.model_copy(update={"batch_size": 48})).result
        assert len(kept(temporary)) == MOST_KEPT
    server.process.send_signal(signal.SIGTERM)
    eventually(lambda: not folders(temporary))


def test_nothing_outlasts_a_server_that_is_killed(start: Start, temporary: Path) -> None:
    server = start("--standby-workers", "0")
    eventually(lambda: folders(temporary))
    server.process.kill()
    eventually(lambda: not folders(temporary))


def test_a_new_process_and_a_standby_worker_share_compiled_functions(start: Start, temporary: Path) -> None:
    server = start("--slots", "2", "--standby-workers", "1")
    server.wait_ready()
    with server.client() as client:
        # The two that begin at once find one standby worker at most.
        both = [client.train(SPEC.model_copy(update={"seed": seed}), detach=True) for seed in (0, 1)]
        for run in both:
            *_, last = client.watch_run(run.id)
            assert last.run is not None
            assert last.run.result
        compiled = kept(temporary)
        eventually(server.standby_workers)
        assert client.train(SPEC.model_copy(update={"seed": 2})).result
    assert {*kept(temporary)} == {*compiled}


def test_one_program_serves_all_calls_of_as_many_steps(start: Start, temporary: Path) -> None:
    server = start("--standby-workers", "0")
    server.wait_ready()
    with server.client() as client:
        result = client.train(SPEC.model_copy(update={"steps_per_execution": 5})).result
    assert result
    # TensorFlow warns where it traces one function five times in ten calls.
    assert result.notes == ()
    # Of the 44 full batches of training 5 and the last 4, its rest, the full batches of validation, and their rest.
    assert len(kept(temporary)) == 5
