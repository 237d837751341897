"""Several devices that share every batch of a training.

Under ``tf.distribute.MirroredStrategy`` each replica works out the gradient of its share of a batch, and the optimizer
adds the gradients up. So a replica's loss has to be its part of the whole batch's: Keras's losses, and those made like
them, divide a replica's mean by the number of replicas, which is right for equal shares.
"""

from typing import Any

import tensorflow as tf


def strategy_for(replicas: int) -> tf.distribute.Strategy:
    """Mirrors variables on the first ``replicas`` GPUs in sight, or parts of the CPU; for one, does nothing."""
    if replicas == 1:
        return tf.distribute.get_strategy()
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    return tf.distribute.MirroredStrategy(
        [device.name for device in devices[:replicas]],
        # One after the other on one device: rings of GPUs add up in an order of their own.
        cross_device_ops=tf.distribute.ReductionToOneDevice(),
    )


def of_whole_batch(part: Any) -> Any:
    """What the losses of all replicas come to, were they like this one's."""
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    return part if replicas == 1 else part * replicas
