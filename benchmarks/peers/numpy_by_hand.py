"""NumPy: forward and backward pass written out."""

from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.peers.job import Float32, Job, PeerByEpoch, Samples, glorot_uniform, main


class NumpyByHand(PeerByEpoch):
    """Matrix products by BLAS, the rest by NumPy."""

    def __init__(self, job: Job, train: Samples) -> None:
        super().__init__(job, train)
        self.images = train.images.reshape(len(train), -1)
        self.weights = glorot_uniform(job)
        self.biases = [np.zeros(each.shape[1], np.float32) for each in self.weights]
        self.generator = np.random.default_rng(job.seed)

    def _forward(self, images: Float32) -> list[Float32]:
        values = [images]
        for weights, biases in zip(self.weights[:-1], self.biases[:-1], strict=True):
            values.append(np.maximum(values[-1] @ weights + biases, 0))
        return [*values, values[-1] @ self.weights[-1] + self.biases[-1]]

    def _step(self, images: Float32, labels: Float32) -> None:
        rate = np.float32(self.job.learning_rate)
        *values, outputs = self._forward(images)
        slope = (outputs - labels) * np.float32(2 / len(labels))
        for layer in range(len(self.weights) - 1, -1, -1):
            below = (slope @ self.weights[layer].T) * (values[layer] > 0) if layer else slope
            self.weights[layer] -= rate * (values[layer].T @ slope)
            self.biases[layer] -= rate * slope.sum(axis=0)
            slope = below

    def epoch(self) -> None:
        """One step per batch of a permutation."""
        order, size = self.generator.permutation(len(self.train)), self.job.batch_size
        for start in range(0, len(order), size):
            index = order[start : start + size]
            self._step(self.images[index], self.train.labels[index])

    def outputs(self, images: Float32) -> Float32:
        """Outputs in one batch."""
        return self._forward(images.reshape(len(images), -1))[-1]


def limit_threads(threads: int) -> Any:
    """Limit the threads of BLAS."""
    return threadpool_limits(threads)


if __name__ == "__main__":
    main(NumpyByHand, limit_threads)
