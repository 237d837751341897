"""Runs that standby workers take: the same bits and notes as runs of new processes."""

import pytest

from loopbench.spec import Dataset, Device, Execution, Method, RunSpec
from tests.support.servers import Start
from tests.support.standby import assert_equal_results

pytestmark = pytest.mark.slow

SHORT = RunSpec(dataset=Dataset.DIGITS, device=Device.CPU, epochs=1)
SPECS = [
    *(
        SHORT.model_copy(update={"method": method, "execution": execution})
        for method in Method
        for execution in Execution
    ),
    # XLA's tape compiled with its loop has the most traces.
    SHORT.model_copy(update={"batch_size": 500, "execution": Execution.XLA, "steps_per_execution": 2}),
]


def test_a_standby_worker_ends_in_the_same_bits(start: Start) -> None:
    assert_equal_results(start, SPECS)
