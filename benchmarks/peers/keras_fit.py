"""The article's second way: ``Model.fit`` on arrays, with Keras's defaults."""

import keras

from benchmarks.peers.job import Job, Samples, main
from benchmarks.peers.keras_model import KerasPeer, limit_threads, network, sum_of_squares


class FitOnArrays(KerasPeer):
    """Compiled with the loss and ``accuracy``."""

    def __init__(self, job: Job, train: Samples) -> None:
        super().__init__(job, train)
        self.model = network(job)
        self.model.compile(keras.optimizers.SGD(job.learning_rate), loss=sum_of_squares, metrics=["accuracy"])

    def fit(self) -> list[float]:
        """Train in one call of ``fit``."""
        return self.fitted(self.train.images, self.train.labels, batch_size=self.job.batch_size)


if __name__ == "__main__":
    main(FitOnArrays, limit_threads)
