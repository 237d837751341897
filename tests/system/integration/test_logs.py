"""The log of a real server, as JSON lines."""

import uuid
from typing import Any

from loopbench.spec import Dataset, Execution, RunSpec

from .conftest import SECONDS_TO_READY, ServerProcess, eventually


def events(server: ServerProcess, run_id: str, request_id: str) -> list[str]:
    """What is logged of a run; no line that speaks of it lacks an id."""
    mentioned = [line for line in server.events() if run_id in str(line) or request_id in str(line)]
    assert {line["request_id"] for line in mentioned} == {request_id}
    assert {line["run_id"] for line in mentioned} == {run_id}
    return [line["event"] for line in mentioned if line["event"] != "rpc"]


def test_lines_say_which_run_they_are_about(start: Any) -> None:
    server = start("--log-level", "debug")
    request_id, lost_id = str(uuid.uuid4()), str(uuid.uuid4())
    with server.client() as client:
        client.wait_ready(SECONDS_TO_READY)
        run = client.train(RunSpec(dataset=Dataset.DIGITS, epochs=1), request_id=request_id)
        endless = RunSpec(dataset=Dataset.DIGITS, epochs=1_000, execution=Execution.EAGER)
        lost = client.train(endless, request_id=lost_id, detach=True)
        eventually(lambda: bool(server.workers()))
        server.workers()[0].kill()
        *_, last = client.watch(lost.id)
        assert last.run is not None
        assert last.run.error is not None
        assert last.run.error.reason == "WORKER_LOST"
        client.delete(run.id)
    assert events(server, run.id, request_id) == ["run queued", "run started", "run ended"]
    assert events(server, lost.id, lost_id) == ["run queued", "run started", "run ended"]


def test_every_call_has_its_line_at_debug(start: Any) -> None:
    server = start("--log-level", "debug")
    with server.client() as client:
        client.server_info()
        assert [*client.list()] == []
    eventually(lambda: {line.get("method") for line in server.events()} >= {"GetServerInfo", "ListRuns"})
