"""Runs of a real server that have no warning to report."""

import pytest

from loopbench.spec import NETWORKS, Execution, Method, RunSpec
from loopbench_client import Client

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("execution", Execution)
@pytest.mark.parametrize("method", Method)
def test_a_sound_run_has_no_notes(client: Client, method: Method, execution: Execution) -> None:
    for kind in NETWORKS.values():
        spec = RunSpec(dataset="DIGITS", network=kind(), method=method, execution=execution, epochs=1, batch_size=719)
        run = client.train(spec)
        assert run.result is not None
        assert run.result.notes == ()
