"""The choice of a GPU, its slots, and its memory."""

import subprocess
import sys

import pytest

from loopbench.spec import Dataset, Device, Method, Run, RunSpec, RunState
from loopbench_client import Client
from loopbench_client.errors import LoopbenchError

from .memory import CONTEXT, NOISE, used_memory, wait_for_memory

SHORT = RunSpec(dataset=Dataset.DIGITS, epochs=1, device=Device.GPU)
LONG = RunSpec(dataset=Dataset.DIGITS, epochs=1_000, device=Device.GPU)

PROGRAM = """
import tensorflow as tf
from loopbench.spec import RunSpec
from loopbench_server.engine.devices import choose_device
print(choose_device([RunSpec(device="GPU")], 1))
print(tf.config.experimental.tensor_float_32_execution_enabled())
product = tf.linalg.matmul(tf.fill((64, 64), 1.0 + 2.0**-13), tf.eye(64))
print(float(product[0, 0]) == 1.0 + 2.0**-13)
"""


def gpus(client: Client) -> int:
    return sum(device.type is Device.GPU for device in client.get_server_info().devices)


def wait_training(client: Client, run: Run) -> None:
    """Return when the run has trained an epoch."""
    for event in client.watch_run(run.id):
        if event.epochs:
            return


def test_auto_is_a_gpu(client: Client) -> None:
    result = client.train(SHORT.model_copy(update={"device": Device.AUTO})).result
    assert result is not None
    assert result.environment.device is Device.GPU
    assert result.environment.device_name != result.environment.cpu_model


def test_more_gpus_than_there_are_is_refused(client: Client) -> None:
    replicas = 2 * gpus(client)
    spec = RunSpec(dataset=Dataset.MNIST, device=Device.GPU, method=Method.FIT, replicas=replicas, batch_size=480)
    with pytest.raises(LoopbenchError) as caught:
        client.train(spec)
    assert caught.value.reason == "DEVICE_NOT_AVAILABLE"
    assert f"TensorFlow sees {gpus(client)} on this server" in str(caught.value)


def test_tensor_float_32_is_off() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, check=True, text=True)
    assert done.stdout.split() == ["GPU", "False", "True"]


def test_a_run_waits_for_a_gpu_while_one_trains_on_the_cpu(client: Client) -> None:
    alone = client.train(SHORT).result
    held = [client.train(LONG.model_copy(update={"seed": seed}), detach=True) for seed in range(gpus(client))]
    try:
        for run in held:
            wait_training(client, run)
        waiting = client.train(SHORT, detach=True)
        on_the_cpu = client.train(SHORT.model_copy(update={"device": Device.CPU}))
        assert on_the_cpu.state is RunState.SUCCEEDED
        assert client.get_run(waiting.id).state is RunState.QUEUED
    finally:
        for run in held:
            client.cancel_run(run.id)
    for _ in client.watch_run(waiting.id):
        pass
    later = client.get_run(waiting.id).result
    assert alone is not None
    assert later is not None
    assert later.weights_digest == alone.weights_digest


@pytest.mark.parametrize("cancelled", [True, False], ids=["cancelled", "ended"])
def test_the_memory_of_a_run_is_free_after_its_end(client: Client, *, cancelled: bool) -> None:
    before = used_memory()
    run = client.train(LONG if cancelled else SHORT.model_copy(update={"epochs": 50}), detach=True)
    wait_training(client, run)
    assert used_memory() > before + CONTEXT
    if cancelled:
        client.cancel_run(run.id)
    else:
        for _ in client.watch_run(run.id):
            pass
    assert wait_for_memory(before + NOISE) <= before + NOISE
