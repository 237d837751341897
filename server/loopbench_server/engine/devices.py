"""Chooses the device and configures TensorFlow before its first operation."""

import os
from collections.abc import Sequence

import tensorflow as tf

from loopbench.spec import Device, DeviceInfo, Execution, RunSpec
from loopbench_server.errors import DeviceNotAvailableError

# Grappler's rewrites of sums and products change the order of floating-point operations: with them, weight decay,
# clipping by the global norm and accumulated gradients give other bits under GRAPH than under EAGER, and other bits in
# one method's graph than in another's. They save no time on this network.
GRAPH_REWRITES = {"constant_folding": False, "arithmetic_optimization": False}
# On a GPU, these replace convolutions by others: in another layout of the images, or with their neighbours.
GPU_REWRITES = {"layout_optimizer": False, "remapping": False}
# Of the operations that XLA compiles for a GPU, those whose repetition gives the same bits.
XLA_DETERMINISTIC = "--xla_gpu_deterministic_ops=true"


def list_devices() -> tuple[DeviceInfo, ...]:
    """Return the CPUs and GPUs that TensorFlow sees."""
    return tuple(
        DeviceInfo(type=Device(device.device_type), name=device.name)
        for device in tf.config.list_physical_devices()
        if device.device_type in (Device.CPU, Device.GPU)
    )


def choose_device(specs: Sequence[RunSpec], threads: int, slots: Sequence[int] = ()) -> Device:
    """Make the devices that ``specs`` require the only visible ones, and their operations deterministic.

    Returns the kind of the devices. Only once per process, before any other use of TensorFlow.

    Args:
        specs: specifications that this process trains. The first decides the kind of the device, the one with the most
            replicas the number of GPUs or of logical devices of the CPU.
        threads: intra-op threads of a device, at least 1.
        slots: numbers of the GPU slots that the process holds, one per replica; by default the first ones.

    Raises:
        DeviceNotAvailableError: GPUs are required and there are fewer.
    """
    wanted, replicas = specs[0].device, max(spec.replicas for spec in specs)
    gpus = _gpus(slots or range(replicas))
    if wanted is Device.GPU and len(gpus) < replicas:
        raise DeviceNotAvailableError(_too_few(replicas, len(gpus)))
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    tf.config.optimizer.set_experimental_options(GRAPH_REWRITES)
    if wanted is Device.CPU or len(gpus) < replicas:
        tf.config.set_visible_devices([], "GPU")
        _split_cpu(replicas)
        return Device.CPU
    tf.config.set_visible_devices(gpus, "GPU")
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, enable=True)
    tf.config.experimental.enable_tensor_float_32_execution(enabled=False)
    tf.config.optimizer.set_experimental_options(GPU_REWRITES)
    make_deterministic({spec.execution for spec in specs})
    return Device.GPU


def make_deterministic(executions: set[Execution]) -> None:
    """Make a repeated run on a GPU end in the same bits, in spite of parallel sums.

    Keras refuses XLA while TensorFlow's operations are deterministic, so XLA uses its own option.
    """
    if Execution.XLA in executions:
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {XLA_DETERMINISTIC}".strip()
    else:
        tf.config.experimental.enable_op_determinism()


def _gpus(slots: Sequence[int]) -> list[tf.config.PhysicalDevice]:
    """Return the GPUs of ``slots``, each once; slots beyond the last GPU share the first ones."""
    gpus = tf.config.list_physical_devices("GPU")
    return [gpus[number] for number in sorted({slot % len(gpus) for slot in slots})] if gpus else []


def _too_few(wanted: int, there: int) -> str:
    required = "a GPU is" if wanted == 1 else f"{wanted} GPUs are"
    return f"{required} required, and TensorFlow sees {there or 'none'} on this server"


def _split_cpu(parts: int) -> None:
    if parts > 1:
        (cpu,) = tf.config.list_physical_devices("CPU")
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * parts)
