"""Several devices that share every batch of a training.

Under ``tf.distribute.MirroredStrategy`` each replica computes the gradient of its share of a batch, and the optimizer
sums the gradients. A replica's loss therefore has to be its part of the whole batch's loss: Keras's losses, and losses
built like them, divide a replica's mean by the number of replicas, which is right for equal shares.
"""

from typing import Any

import tensorflow as tf


def strategy_for(replicas: int) -> tf.distribute.Strategy:
    """Return a strategy that mirrors variables on ``replicas`` GPUs or parts of the CPU; for one, the default."""
    if replicas == 1:
        return tf.distribute.get_strategy()
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    return tf.distribute.MirroredStrategy(
        [device.name for device in devices[:replicas]],
        # Sums in order on one device: rings of GPUs have another order.
        cross_device_ops=tf.distribute.ReductionToOneDevice(),
    )


def scale_to_batch(part: Any) -> Any:
    """Return the loss of the whole batch if the shares of all replicas had this one's loss."""
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    return part if replicas == 1 else part * replicas
