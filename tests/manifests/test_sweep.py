"""The sweep's Job, all indices at once on one database, with a pod that is killed and one that is evicted."""

import json

import pytest
import sqlalchemy as sa

from tests.manifests.builds import built
from tests.manifests.kubelet import IndexedJob
from tests.manifests.mounting import Held
from tests.manifests.running import AsProcesses, Node, Running, lone

pytestmark = pytest.mark.slow

SWEEP = "jobs/sweep.yaml"
KILLED, EVICTED = 1, 4


def with_epochs(number: int) -> Held:
    """The sweep's ConfigMap with another number of epochs."""
    pod, _ = lone(SWEEP, "Job")
    (text,) = (made["data"]["sweep.json"] for made in built(SWEEP) if made["kind"] == "ConfigMap")
    changed = text.replace('"epochs": 10', f'"epochs": {number}')
    assert changed != text
    return {("ConfigMap", pod.spec["volumes"][0]["configMap"]["name"]): {"sweep.json": changed}}


def test_every_index_has_one_result_whatever_happens_to_its_pods(node: Node, store_url: str) -> None:
    # Long enough that the pods to disturb still train when they are disturbed.
    job = IndexedJob(node, SWEEP, with_epochs(60))
    if not isinstance(node.runtime, AsProcesses):
        # The image adds the signals and the exit codes of its init; tests/system/container compares its bits.
        job.indices = (KILLED, EVICTED)
    plans = {KILLED: Running.kill, EVICTED: Running.terminate}

    def disturb(running: dict[int, Running]) -> None:
        for index in [*plans]:
            if index in running and running[index].event("run started"):
                job.evicted |= {running[index]} if index == EVICTED else set()
                plans.pop(index)(running[index])

    job.complete(disturb)

    assert {index: codes for index, codes in job.codes.items() if codes != [0]} == {KILLED: [137, 0], EVICTED: [143, 0]}
    results = {index: json.loads(pod.output()) for index, pod in job.ended.items()}
    assert set(results) == {*(range(8) if job.indices is None else job.indices)}
    assert {run["state"] for run in results.values()} == {"RUN_STATE_SUCCEEDED"}
    assert stored(store_url) == {run["id"]: "SUCCEEDED" for run in results.values()}
    if job.indices is None:
        digests = {index: run["result"]["weightsDigest"] for index, run in results.items()}
        # Three methods under one seed end in the same weights, also where a pod was killed on the way.
        assert digests[0] == digests[2] == digests[4]
        assert digests[1] == digests[3] == digests[5]


def stored(url: str) -> dict[str, str]:
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        rows = connection.execute(sa.text("SELECT id, state FROM runs")).all()
    engine.dispose()
    return {str(row.id): row.state for row in rows}


@pytest.mark.parametrize("index", ["0", "8"])
def test_bad_spec_and_bad_index_end_with_two(node: Node, index: str) -> None:
    running = node.run(SWEEP, "Job", texts=with_epochs(-1) if index == "0" else {}, JOB_COMPLETION_INDEX=index)

    assert running.wait() == 2, running.errors()
