"""Pods of the sweep's Job, run as its manifest describes. tests/chaos runs many at once and kills some."""

import json
from collections.abc import Callable

import pytest
import sqlalchemy as sa

from tests.manifests.builds import built
from tests.manifests.mounting import Held
from tests.manifests.running import TIMEOUT_SECONDS, Node, Running, only_container
from tests.support.servers import eventually

pytestmark = pytest.mark.slow

SWEEP = "jobs/sweep.yaml"


def with_epochs(number: int) -> Held:
    """The sweep's ConfigMap with another number of epochs."""
    pod, _ = only_container(SWEEP, "Job")
    (text,) = (made["data"]["sweep.json"] for made in built(SWEEP) if made["kind"] == "ConfigMap")
    changed = text.replace('"epochs": 10', f'"epochs": {number}')
    assert changed != text
    return {("ConfigMap", pod.spec["volumes"][0]["configMap"]["name"]): {"sweep.json": changed}}


@pytest.mark.parametrize(("index", "end", "code"), [(1, Running.kill, 137), (4, Running.terminate, 143)])
def test_index_whose_pod_ends_early_is_trained_by_the_next_pod(
    node: Node, store_url: str, index: int, end: Callable[[Running], None], code: int
) -> None:
    # Long enough to be killed during training.
    texts = with_epochs(60)
    first = node.run(SWEEP, "Job", texts=texts, JOB_COMPLETION_INDEX=str(index))
    eventually(lambda: first.event("run started") or first.process.poll() is not None, TIMEOUT_SECONDS)
    end(first)
    assert first.wait() == code, first.errors()

    second = node.run(SWEEP, "Job", texts=texts, JOB_COMPLETION_INDEX=str(index))

    assert second.wait() == 0, second.errors()
    run = json.loads(second.output().splitlines()[-1])
    assert run["state"] == "RUN_STATE_SUCCEEDED"
    assert stored(store_url)[run["id"]] == "SUCCEEDED"


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
