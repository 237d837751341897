"""Choice of devices. GPUs are fake, and the calls to TensorFlow are recorded."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import tensorflow as tf

from loopbench.spec import Device
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


@pytest.mark.parametrize("given", CHOICES, ids=str)
def test_devices_are_chosen(machine: Callable[[int], ConfiguredDevices], given: tuple[int, Device, int]) -> None:
    (gpus, wanted, replicas), (chosen, in_sight, parts) = given, CHOICES[given]
    asked = machine(gpus)
    assert choose_device(wanted, 1, replicas) is chosen
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
        choose_device(Device.GPU, 1, replicas)
    assert asked == ConfiguredDevices(visible=GPUS[:gpus]), "nothing is set"


def test_devices_are_listed_by_their_kind(machine: Callable[[int], ConfiguredDevices]) -> None:
    machine(2)
    assert [(device.type, device.name) for device in list_devices()] == [
        (Device.CPU, "/physical_device:CPU:0"),
        (Device.GPU, "/physical_device:GPU:0"),
        (Device.GPU, "/physical_device:GPU:1"),
    ]
