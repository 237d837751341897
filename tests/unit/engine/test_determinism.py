"""The settings and the preparation for repeatable runs on a GPU leave the bits on the CPU as they are."""

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
from loopbench.spec import Device, Execution, RunSpec
from loopbench_server.engine import preparation
from loopbench_server.engine.devices import choose_device, make_deterministic
from loopbench_server.engine.training import train
from loopbench_server.worker_config import WorkerConfig
if sys.argv[2] == "True":
    preparation.SMALL[Device.CPU] = preparation.SMALL[Device.GPU]
    make_deterministic({Execution.XLA})
    preparation.prepare(WorkerConfig())
specs = [RunSpec.model_validate(spec) for spec in json.loads(sys.argv[1])]
choose_device(specs, 1)
make_deterministic({spec.execution for spec in specs})
results = [train(spec, WorkerConfig())[0] for spec in specs]
# TensorFlow may warn of the many trainings of this process, but not of its first, the only one that a worker has.
assert not results[0].notes, results[0].notes
print(json.dumps([result.weights_digest for result in results]))
"""
FIELDS: dict[str, Any] = {"dataset": "DIGITS", "epochs": 1, "batch_size": 100, "seed": 5, "device": "CPU"}


def deterministic_digests(specs: list[RunSpec], *, prepared: bool) -> list[str]:
    given = json.dumps([spec.model_dump(mode="json") for spec in specs])
    command = [sys.executable, "-c", PROGRAM, given, str(prepared)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    digests: list[str] = json.loads(done.stdout)
    return digests


@pytest.mark.parametrize("execution", [Execution.GRAPH, Execution.XLA])
@pytest.mark.parametrize("method", Method)
def test_a_prepared_process_notes_nothing(method: Method, execution: Execution) -> None:
    assert deterministic_digests([RunSpec(**FIELDS, method=method, execution=execution)], prepared=True)


@pytest.mark.slow
@pytest.mark.parametrize("prepared", [False, True], ids=["new", "prepared"])
@pytest.mark.parametrize("executions", [(Execution.EAGER, Execution.GRAPH), (Execution.XLA,)], ids=str)
def test_digests_stay(executions: tuple[Execution, ...], *, prepared: bool) -> None:
    networks = (Mlp(), Cnn(filters=(3, 2)), Lstm(units=4))
    methods = Method if executions == (Execution.XLA,) else (Method.GRADIENT_TAPE,)
    specs = [
        RunSpec(**FIELDS, network=network, method=method, execution=execution)
        for network in networks
        for method in methods
        for execution in executions
    ]
    ours = [digest(**FIELDS, network=spec.network, method=spec.method, execution=spec.execution) for spec in specs]
    assert deterministic_digests(specs, prepared=prepared) == ours
