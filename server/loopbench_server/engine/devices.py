"""Chooses the device and configures TensorFlow before its first operation."""

import tensorflow as tf

from loopbench.spec import Device, DeviceInfo
from loopbench_server.errors import DeviceNotAvailableError

# Grappler's rewrites of sums and products change the order of floating-point operations: with them, weight decay,
# clipping by the global norm and accumulated gradients give other bits under GRAPH than under EAGER, and other bits in
# one method's graph than in another's. They save no time on this network.
GRAPH_REWRITES = {"constant_folding": False, "arithmetic_optimization": False}


def list_devices() -> tuple[DeviceInfo, ...]:
    """Return the CPUs and GPUs that TensorFlow sees."""
    return tuple(
        DeviceInfo(type=Device(device.device_type), name=device.name)
        for device in tf.config.list_physical_devices()
        if device.device_type in (Device.CPU, Device.GPU)
    )


def choose_device(wanted: Device, threads: int, replicas: int = 1) -> Device:
    """Make ``replicas`` devices of the kind that ``wanted`` stands for the only visible ones; return their kind.

    Only once per process, before any other use of TensorFlow.

    Args:
        wanted: device of the specification.
        threads: intra-op threads of a device, at least 1.
        replicas: GPUs, or logical devices of the CPU.

    Raises:
        DeviceNotAvailableError: GPUs are required and there are fewer.
    """
    gpus = tf.config.list_physical_devices("GPU")
    if wanted is Device.GPU and len(gpus) < replicas:
        raise DeviceNotAvailableError(_too_few(replicas, len(gpus)))
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    tf.config.optimizer.set_experimental_options(GRAPH_REWRITES)
    if wanted is Device.CPU or len(gpus) < replicas:
        tf.config.set_visible_devices([], "GPU")
        _split_cpu(replicas)
        return Device.CPU
    tf.config.set_visible_devices(gpus[:replicas], "GPU")
    for gpu in gpus[:replicas]:
        tf.config.experimental.set_memory_growth(gpu, enable=True)
    # On a GPU, parallel sums and TensorFloat-32 would give a repeated run other bits.
    tf.config.experimental.enable_op_determinism()
    tf.config.experimental.enable_tensor_float_32_execution(enabled=False)
    return Device.GPU


def _too_few(wanted: int, there: int) -> str:
    required = "a GPU is" if wanted == 1 else f"{wanted} GPUs are"
    return f"{required} required, and TensorFlow sees {there or 'none'} on this server"


def _split_cpu(parts: int) -> None:
    if parts > 1:
        (cpu,) = tf.config.list_physical_devices("CPU")
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * parts)
