"""Choice of devices. GPUs are fake, and the calls to TensorFlow are recorded."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import tensorflow as tf

from loopbench.spec import Device, Execution, Method, RunSpec
from loopbench_server.engine.devices import choose_device, list_devices
from loopbench_server.errors import DeviceNotAvailableError

CPU, *GPUS = (
    tf.config.PhysicalDevice(f"/physical_device:{kind}:{number}", kind)
    for kind, number in (("CPU", 0), ("GPU", 0), ("GPU", 1), ("GPU", 2))
)


@dataclass
class ConfiguredDevices:
    """Devices configured in TensorFlow."""

    visible: list[Any] = field(default_factory=list)
    growing: list[Any] = field(default_factory=list)
    parts: int = 1
    deterministic: bool = False
    tensor_float: bool = True


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], ConfiguredDevices]:
    """A machine with that number of GPUs."""

    # Restored after the test, whatever it sets.
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    monkeypatch.setattr(os, "environ", os.environ.copy())

    def of(gpus: int) -> ConfiguredDevices:
        asked, there = ConfiguredDevices(visible=GPUS[:gpus]), {"CPU": [CPU], "GPU": GPUS[:gpus]}
        config: dict[str, Any] = {
            "list_physical_devices": lambda kind=None: there[kind] if kind else [CPU, *there["GPU"]],
            "set_visible_devices": lambda devices, _: setattr(asked, "visible", list(devices)),
            "set_logical_device_configuration": lambda _, parts: setattr(asked, "parts", len(parts)),
        }
        experimental: dict[str, Any] = {
            "set_memory_growth": lambda gpu, enable: asked.growing.append(gpu) if enable else None,
            "enable_op_determinism": lambda: setattr(asked, "deterministic", True),
            "enable_tensor_float_32_execution": lambda enabled: setattr(asked, "tensor_float", enabled),
        }
        for owner, functions in ((tf.config, config), (tf.config.experimental, experimental)):
            for name, function in functions.items():
                monkeypatch.setattr(owner, name, function)
        return asked

    return of


# Present GPUs, requested device and replicas → chosen device, visible GPUs, logical CPUs.
CHOICES = {
    (0, Device.AUTO, 1): (Device.CPU, 0, 1),
    (0, Device.CPU, 2): (Device.CPU, 0, 2),
    (0, Device.AUTO, 4): (Device.CPU, 0, 4),
    (2, Device.CPU, 1): (Device.CPU, 0, 1),
    (2, Device.AUTO, 1): (Device.GPU, 1, 1),
    (2, Device.GPU, 1): (Device.GPU, 1, 1),
    (3, Device.GPU, 2): (Device.GPU, 2, 1),
    (2, Device.AUTO, 2): (Device.GPU, 2, 1),
    (1, Device.AUTO, 2): (Device.CPU, 0, 2),
}


def spec_of(device: Device, replicas: int = 1, **fields: Any) -> RunSpec:
    return RunSpec(device=device, method=Method.FIT, replicas=replicas, **fields)


@pytest.mark.parametrize("given", CHOICES, ids=str)
def test_devices_are_chosen(machine: Callable[[int], ConfiguredDevices], given: tuple[int, Device, int]) -> None:
    (gpus, wanted, replicas), (chosen, in_sight, parts) = given, CHOICES[given]
    asked = machine(gpus)
    assert choose_device([spec_of(wanted, replicas)], 1) is chosen
    assert asked.visible == asked.growing == GPUS[:in_sight]
    assert asked.parts == parts
    assert asked.deterministic is (chosen is Device.GPU)
    assert asked.tensor_float is (chosen is Device.CPU)


@pytest.mark.parametrize(
    ("gpus", "replicas", "message"),
    [
        (0, 1, "a GPU is required, and TensorFlow sees none"),
        (1, 2, "2 GPUs are required, and TensorFlow sees 1"),
        (0, 2, "2 GPUs are required, and TensorFlow sees none"),
    ],
)
def test_gpus_that_are_absent_are_an_error(
    machine: Callable[[int], ConfiguredDevices], gpus: int, replicas: int, message: str
) -> None:
    asked = machine(gpus)
    with pytest.raises(DeviceNotAvailableError, match=message):
        choose_device([spec_of(Device.GPU, replicas)], 1)
    assert asked == ConfiguredDevices(visible=GPUS[:gpus]), "nothing is set"


# Executions that a process trains by → whether TensorFlow's operations are deterministic, and XLA's.
DETERMINISM = {
    (Execution.GRAPH,): (True, False),
    (Execution.EAGER,): (True, False),
    (Execution.XLA,): (False, True),
    (Execution.GRAPH, Execution.XLA): (False, True),
}


@pytest.mark.parametrize("executions", DETERMINISM, ids=str)
def test_determinism_on_a_gpu_depends_on_the_execution(
    machine: Callable[[int], ConfiguredDevices], executions: tuple[Execution, ...]
) -> None:
    asked = machine(1)
    os.environ["XLA_FLAGS"] = "--xla_dump_hlo_as_text"
    choose_device([spec_of(Device.GPU, execution=execution) for execution in executions], 1)
    flags = os.environ["XLA_FLAGS"].split()
    assert "--xla_dump_hlo_as_text" in flags, "flags of the environment stay"
    assert (asked.deterministic, "--xla_gpu_deterministic_ops=true" in flags) == DETERMINISM[executions]


# GPUs, slots that a process holds → visible GPUs.
HELD = {(3, (2,)): [2], (3, (0, 2)): [0, 2], (2, (3,)): [1], (1, (4,)): [0]}


@pytest.mark.parametrize("given", HELD, ids=str)
def test_a_slot_has_its_gpu(machine: Callable[[int], ConfiguredDevices], given: tuple[int, tuple[int, ...]]) -> None:
    gpus, slots = given
    asked = machine(gpus)
    assert choose_device([spec_of(Device.GPU, len(slots))], 1, slots) is Device.GPU
    assert asked.visible == asked.growing == [GPUS[number] for number in HELD[given]]


def test_slots_that_share_a_gpu_are_too_few_for_replicas(machine: Callable[[int], ConfiguredDevices]) -> None:
    machine(1)
    with pytest.raises(DeviceNotAvailableError, match="2 GPUs are required, and TensorFlow sees 1"):
        choose_device([spec_of(Device.GPU, 2)], 1, (0, 1))


def test_devices_are_listed_by_their_kind(machine: Callable[[int], ConfiguredDevices]) -> None:
    machine(2)
    assert [(device.type, device.name) for device in list_devices()] == [
        (Device.CPU, "/physical_device:CPU:0"),
        (Device.GPU, "/physical_device:GPU:0"),
        (Device.GPU, "/physical_device:GPU:1"),
    ]
