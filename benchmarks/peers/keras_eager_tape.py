"""The article's first way: a loop around ``tf.GradientTape``, eagerly, one batch after another."""

import keras
import tensorflow as tf

from benchmarks.peers.job import Job, PeerByEpoch, Samples, main
from benchmarks.peers.keras_model import KerasPeer, limit_threads, network, shuffled_batches, sum_of_squares


class EagerTape(PeerByEpoch, KerasPeer):
    """An eager loop; nothing is traced or compiled."""

    def __init__(self, job: Job, train: Samples) -> None:
        super().__init__(job, train)
        self.model = network(job)
        self.optimizer = keras.optimizers.SGD(job.learning_rate)
        self.accuracy = keras.metrics.CategoricalAccuracy()
        self.batches = shuffled_batches(job, train)

    def epoch(self) -> None:
        """One step per batch, with the accuracy metric."""
        self.accuracy.reset_state()
        for images, labels in self.batches:
            with tf.GradientTape() as tape:
                outputs = self.model(images, training=True)
                loss = tf.reduce_mean(sum_of_squares(labels, outputs))
            gradients = tape.gradient(loss, self.model.trainable_variables)
            self.optimizer.apply_gradients(zip(gradients, self.model.trainable_variables, strict=True))
            self.accuracy.update_state(labels, outputs)


if __name__ == "__main__":
    main(EagerTape, limit_threads)
