"""Traces of a real server and a real run in the console exporter."""

import pytest

from loopbench.spec import Dataset, RunSpec
from tests.support.servers import Start, stop_server

pytestmark = pytest.mark.slow

PHASES = ["queue", "start", "load", "compile", "train", "evaluate", "store"]


def test_a_real_run_is_traced_phase_by_phase(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "console")
    server = start()
    server.wait_ready()
    with server.client() as client:
        trained = client.train(RunSpec(dataset=Dataset.DIGITS, epochs=2))
    stop_server(server)
    # Log lines are JSON objects too, with the key "event".
    spans = [line for line in server.events() if "event" not in line]
    (call,) = [span for span in spans if span["name"] == "loopbench.v1.BenchmarkService/Train"]
    (run,) = [span for span in spans if span["name"] == "run"]
    assert run["parent_id"] == call["context"]["span_id"]
    assert run["attributes"]["loopbench.run_id"] == trained.id
    assert run["attributes"]["loopbench.state"] == "SUCCEEDED"
    assert run["resource"]["attributes"]["service.name"] == "loopbench-server"
    phases = [span for span in spans if span["parent_id"] == run["context"]["span_id"]]
    phases.sort(key=lambda span: (span["start_time"], span["end_time"]))
    assert [phase["name"] for phase in phases] == PHASES
    assert [phase["end_time"] for phase in phases[:-1]] == [phase["start_time"] for phase in phases[1:]]
    (train,) = [phase for phase in phases if phase["name"] == "train"]
    assert [event["attributes"]["epoch"] for event in train["events"]] == [1, 2]
