"""Standby workers for GPUs: the bits of their runs, and the memory that they hold."""

import pytest

from loopbench.spec import Cnn, Dataset, Device, Execution, Lstm, Method, RunSpec
from tests.support.servers import Start, eventually, stop_server
from tests.support.standby import SECONDS_TO_PREPARE, assert_equal_results, standby_pids

from .memory import CONTEXT, NOISE, used_memory, wait_for_memory

# A standby worker knows neither the execution nor the network.
SPECS = [
    RunSpec(dataset=Dataset.DIGITS, device=Device.GPU, epochs=1, **fields)
    for fields in (
        {"execution": Execution.GRAPH},
        {"execution": Execution.XLA},
        {"execution": Execution.EAGER},
        {"execution": Execution.GRAPH, "method": Method.FIT},
        {"execution": Execution.XLA, "method": Method.CUSTOM_TRAIN_STEP},
        {"execution": Execution.GRAPH, "network": Cnn()},
        {"execution": Execution.GRAPH, "network": Lstm()},
    )
]


def test_a_standby_worker_ends_in_the_same_bits(start: Start) -> None:
    assert_equal_results(start, SPECS)


@pytest.mark.parametrize("killed", [True, False], ids=["killed", "stopped"])
def test_a_server_leaves_no_memory_in_use(start: Start, *, killed: bool) -> None:
    before = used_memory()
    server = start("--log-level", "debug")
    eventually(lambda: standby_pids(server, on_gpu=True), SECONDS_TO_PREPARE)
    assert used_memory() > before + CONTEXT
    if killed:
        server.process.kill()
    else:
        stop_server(server)
    assert wait_for_memory(before + NOISE) <= before + NOISE
