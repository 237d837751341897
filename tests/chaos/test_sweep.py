"""Concurrent pods of a sweep on one store, killed, stopped and started twice: each index ends as one run."""

import json
import os
import urllib.request
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import psutil
import pytest

from loopbench.spec import Dataset, Device, Execution, Run, RunSpec, RunState
from loopbench.sweep import IndexExit, LabelledSpec, Sweep
from tests.chaos.databases import DATABASES
from tests.chaos.sweep_pods import TIMEOUT, Cluster, Pod, running_cluster
from tests.support.servers import eventually

pytestmark = pytest.mark.slow

EPOCHS = 6
# Bit-identical to GRAPH, but slow enough to be killed during training.
SLOW = RunSpec(dataset=Dataset.DIGITS, epochs=EPOCHS, execution=Execution.EAGER)
QUICK = SLOW.model_copy(update={"execution": Execution.GRAPH})
SPECS = {
    "endless": SLOW.model_copy(update={"epochs": 1_000}),
    "slow": SLOW,
    "quick": QUICK,
}
# The index of the first run with this spec.
ENDLESS = 2
WAITS = "another process works on the run"


def make_sweep(*labels: str, **others: RunSpec) -> Sweep:
    chosen = {label: SPECS[label] for label in labels} | others
    specs = tuple(LabelledSpec(label=label, spec=spec) for label, spec in chosen.items())
    return Sweep(name="test", seeds=(3, 4), specs=specs)


def digest(run: Run) -> str:
    assert run.result is not None
    return run.result.weights_digest


@pytest.mark.parametrize("kind", DATABASES)
def test_concurrent_pods_finish_after_one_is_killed(kind: str, tmp_path: Path, store_url: str) -> None:
    labels = ("slow", "quick")
    sweep = make_sweep(*labels)
    with running_cluster(sweep, tmp_path, store_url) as cluster:
        pods = [cluster.start(number) for number in range(sweep.size)]
        before = cluster.under_way(0)
        pods[0].kill()
        retried = cluster.start(0)
        ends = [pod.end() for pod in (retried, *pods[1:])]
        assert [code for code, _ in ends] == [IndexExit.DONE] * sweep.size, [pod.last_error_line for pod in pods]
        by_request = {run.request_id: run for run in cluster.runs()}
    assert len(by_request) == sweep.size
    runs = [by_request[sweep.request_id(number)] for number in range(sweep.size)]
    assert {run.state for run in runs} == {RunState.SUCCEEDED}
    assert [run.spec for run in runs] == [sweep.index(number).spec for number in range(sweep.size)]
    assert [json.loads(answer)["id"] for _, answer in ends] == [run.id for run in runs]
    # The killed run keeps its id, restarts from the beginning, and ends like the undisturbed ones.
    assert runs[0].id == before.id
    assert runs[0].result is not None
    assert [record.epoch for record in runs[0].result.history] == [*range(1, EPOCHS + 1)]
    assert [digest(run) for run in runs] == [digest(runs[2]), digest(runs[3])] * len(labels)
    print(f"{kind}: {sweep.size} indices, one killed: {[run.state.value for run in runs]}")


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with running_cluster(make_sweep("slow", "endless"), tmp_path, f"sqlite:///{tmp_path / 'runs.db'}") as made:
        yield made


def scraped(pod: Pod) -> str:
    (address,) = [line["metrics_address"] for line in pod.log if line["event"] == "training"]
    with urllib.request.urlopen(f"http://{address}/metrics") as answer:
        text: str = answer.read().decode()
    return text


def test_a_stopped_pod_reports_it_and_is_retried(cluster: Cluster) -> None:
    first = cluster.start(0)
    begun = cluster.under_way(0)
    assert "\nloopbench_runs_running 1.0\n" in scraped(first)
    trained_by = f'loopbench_package_info{{package="tensorflow",version="{version("tensorflow")}"}} 1.0'
    eventually(lambda: trained_by in scraped(first))
    below = psutil.Process(first.process.pid).children(recursive=True)
    first.process.terminate()
    code, answer = first.end()
    assert (code, answer) == (IndexExit.STOPPED, "")
    assert "SERVER_DRAINING" in first.last_error_line
    assert not [process for process in below if process.is_running() and process.nice() > os.nice(0)], (
        "nothing trains on"
    )
    (stopped,) = cluster.runs()
    assert stopped.error is not None
    assert (stopped.id, stopped.error.reason, stopped.error.retryable) == (begun.id, "SERVER_DRAINING", True)
    line = next(line for line in first.log if line["event"] == "run started")
    assert (line["sweep"], line["index"], line["label"]) == ("test", 0, "slow")
    assert (line["run_id"], line["request_id"]) == (begun.id, cluster.sweep.request_id(0))

    code, answer = cluster.start(0).end()
    printed = json.loads(answer)
    assert (code, printed["id"]) == (IndexExit.DONE, begun.id)
    (done,) = cluster.runs()
    assert done.state is RunState.SUCCEEDED
    # A further attempt has nothing to do.
    code, answer = cluster.start(0).end()
    assert (code, json.loads(answer)) == (IndexExit.DONE, printed)


def test_two_pods_of_one_index_end_as_one_run(cluster: Cluster) -> None:
    first = cluster.start(0)
    cluster.under_way(0)
    second = cluster.start(0)
    (code, answer), (other_code, other_answer) = first.end(), second.end()
    assert code == other_code == IndexExit.DONE
    assert json.loads(answer) == json.loads(other_answer)
    assert len(cluster.runs()) == 1


def test_a_waiting_pod_stops_at_once(cluster: Cluster) -> None:
    first = cluster.start(ENDLESS)
    cluster.under_way(ENDLESS)
    second = cluster.start(ENDLESS)
    eventually(lambda: any(line["event"] == WAITS for line in second.log), TIMEOUT)
    second.process.terminate()
    assert second.end()[0] == IndexExit.STOPPED
    assert first.process.poll() is None
    assert [run.state for run in cluster.runs()] == [RunState.RUNNING]


def test_a_permanent_error_is_not_retried(tmp_path: Path) -> None:
    spec = QUICK.model_copy(update={"device": Device.GPU})
    with running_cluster(make_sweep(gpu=spec), tmp_path, f"sqlite:///{tmp_path / 'runs.db'}") as cluster:
        for _ in range(2):
            pod = cluster.start(0)
            assert pod.end() == (IndexExit.HOPELESS, "")
            assert pod.last_error_line.startswith(
                "loopbench-sweep-index: index 0 (gpu, seed 3): DEVICE_NOT_AVAILABLE: "
            )
        assert len(cluster.runs()) == 1


def test_a_run_cancelled_by_a_server_is_not_retried(cluster: Cluster) -> None:
    pod = cluster.start(ENDLESS)
    cluster.store.request_cancel(cluster.under_way(ENDLESS).id)
    assert pod.end()[0] == IndexExit.HOPELESS
    assert "RUN_CANCELLED" in pod.last_error_line
