"""The sweep's Job, all indices at once on one database, with a pod that is killed and one that is evicted."""

import json

import pytest
import sqlalchemy as sa

from tests.manifests.builds import OFFERED, built
from tests.manifests.kubelet import COUNT, IndexedJob, reaction
from tests.manifests.mounting import Held
from tests.manifests.objects import containers
from tests.manifests.running import Node, Running, lone
from tests.manifests.test_servers import SERVERS
from tests.support.postgresql import Cluster

SWEEP = "jobs/sweep.yaml"
KILLED, EVICTED = 1, 4


def with_epochs(number: int) -> Held:
    """The sweep's ConfigMap with that number in place of its own."""
    pod, _ = lone(SWEEP, "Job")
    (text,) = (made["data"]["sweep.json"] for made in built(SWEEP) if made["kind"] == "ConfigMap")
    changed = text.replace('"epochs": 10', f'"epochs": {number}')
    assert changed != text
    return {("ConfigMap", pod.spec["volumes"][0]["configMap"]["name"]): {"sweep.json": changed}}


def test_all_indices_come_to_one_result_each_whatever_happens_to_their_pods(node: Node, postgresql: Cluster) -> None:
    # So long that a pod which is to be killed still trains by then.
    job = IndexedJob(node, SWEEP, with_epochs(60))
    plans = {KILLED: Running.kill, EVICTED: Running.terminate}

    def disturb(running: dict[int, Running]) -> None:
        for index in [*plans]:
            if index in running and running[index].event("run started"):
                job.evicted |= {running[index]} if index == EVICTED else set()
                plans.pop(index)(running[index])

    job.complete(disturb)

    assert {index: codes for index, codes in job.codes.items() if codes != [0]} == {KILLED: [137, 0], EVICTED: [143, 0]}
    results = {index: json.loads(pod.output()) for index, pod in job.ended.items()}
    assert {run["state"] for run in results.values()} == {"RUN_STATE_SUCCEEDED"}
    assert stored(postgresql) == {run["id"]: "SUCCEEDED" for run in results.values()}
    # Three methods under one seed end in the same weights: also where a pod was killed on the way.
    tape, fit, step = ((results[2 * spec + seed]["result"]["weightsDigest"] for seed in (0, 1)) for spec in range(3))
    assert [*tape] == [*fit] == [*step]


def stored(postgresql: Cluster) -> dict[str, str]:
    engine = sa.create_engine(postgresql.url)
    with engine.connect() as connection:
        rows = connection.execute(sa.text("SELECT id, state FROM runs")).all()
    engine.dispose()
    return {str(row.id): row.state for row in rows}


@pytest.mark.parametrize("index", ["0", "8"])
def test_what_is_bad_fails_its_index_at_once(node: Node, index: str) -> None:
    running = node.run(SWEEP, "Job", texts=with_epochs(-1) if index == "0" else {}, JOB_COMPLETION_INDEX=index)

    assert running.wait() == 2, running.errors()
    job = lone(SWEEP, "Job")[0].owner["spec"]
    assert reaction(job, 2) == "FailIndex"
    assert reaction(job, 1) == COUNT


def test_every_build_with_a_container_is_one_that_these_tests_run() -> None:
    run = {*SERVERS, "jobs/compare", "jobs/nightly", SWEEP}

    assert {build for build in OFFERED if any(containers(built(build)))} == run
