"""Chooses the device, and sets how TensorFlow executes, before it does anything."""

import tensorflow as tf

from loopbench.spec import Device, DeviceInfo
from loopbench_server.errors import DeviceNotAvailableError

# Grappler's rewrites of sums and products, which change the order of floating-point operations: with them, weight
# decay, clipping by the global norm and accumulated gradients end in other bits under GRAPH than under EAGER, and in
# other bits in one method's graph than in another's. They save no time on this network.
GRAPH_REWRITES = {"constant_folding": False, "arithmetic_optimization": False}


def list_devices() -> tuple[DeviceInfo, ...]:
    """The CPUs and GPUs that TensorFlow sees."""
    return tuple(
        DeviceInfo(type=Device(device.device_type), name=device.name)
        for device in tf.config.list_physical_devices()
        if device.device_type in (Device.CPU, Device.GPU)
    )


def choose_device(wanted: Device, threads: int) -> Device:
    """Makes the device that ``wanted`` stands for the only one in sight, and gives which it is.

    To be called once a process, before anything else of TensorFlow's.

    Args:
        wanted: what the specification says.
        threads: intra-op threads, at least 1.

    Raises:
        DeviceNotAvailableError: a GPU is wanted and there is none.
    """
    gpus = tf.config.list_physical_devices("GPU")
    if wanted is Device.GPU and not gpus:
        raise DeviceNotAvailableError("a GPU was asked for, and TensorFlow sees none on this server")
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    tf.config.optimizer.set_experimental_options(GRAPH_REWRITES)
    if wanted is Device.CPU or not gpus:
        tf.config.set_visible_devices([], "GPU")
        return Device.CPU
    tf.config.set_visible_devices(gpus[:1], "GPU")
    tf.config.experimental.set_memory_growth(gpus[0], enable=True)
    # On a GPU, sums in parallel and TensorFloat-32 would make a repeated run end in other bits.
    tf.config.experimental.enable_op_determinism()
    tf.config.experimental.enable_tensor_float_32_execution(enabled=False)
    return Device.GPU
