"""The settings for repeatable runs on a GPU leave the bits on the CPU as they are."""

import json
import subprocess
import sys
from typing import Any

import pytest

from loopbench.spec import Cnn, Execution, Lstm, Method, Mlp, RunSpec

from .numpy_reference import digest

# Options of a process stay, so another process sets them before its first operation.
PROGRAM = """
import json, sys
from loopbench.spec import RunSpec
from loopbench_server.engine.devices import choose_device, make_deterministic
from loopbench_server.engine.training import train
from loopbench_server.worker_config import WorkerConfig
specs = [RunSpec.model_validate(spec) for spec in json.loads(sys.argv[1])]
choose_device(specs, 1)
make_deterministic({spec.execution for spec in specs})
print(json.dumps([train(spec, WorkerConfig())[0].weights_digest for spec in specs]))
"""
FIELDS: dict[str, Any] = {"dataset": "DIGITS", "epochs": 1, "batch_size": 100, "seed": 5, "device": "CPU"}


def deterministic_digests(specs: list[RunSpec]) -> list[str]:
    given = json.dumps([spec.model_dump(mode="json") for spec in specs])
    done = subprocess.run([sys.executable, "-c", PROGRAM, given], stdout=subprocess.PIPE, check=True, text=True)
    digests: list[str] = json.loads(done.stdout)
    return digests


@pytest.mark.slow
@pytest.mark.parametrize("executions", [(Execution.EAGER, Execution.GRAPH), (Execution.XLA,)], ids=str)
def test_digests_stay(executions: tuple[Execution, ...]) -> None:
    networks = (Mlp(), Cnn(filters=(3, 2)), Lstm(units=4))
    methods = Method if executions == (Execution.XLA,) else (Method.GRADIENT_TAPE,)
    specs = [
        RunSpec(**FIELDS, network=network, method=method, execution=execution)
        for network in networks
        for method in methods
        for execution in executions
    ]
    ours = [digest(**FIELDS, network=spec.network, method=spec.method, execution=spec.execution) for spec in specs]
    assert deterministic_digests(specs) == ours
