"""Runs of the engine, and the same training written in NumPy."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loopbench.spec import Dataset, Result, RunSpec
from loopbench_server.engine.batch_order import BatchOrder
from loopbench_server.engine.data import Data, Samples
from loopbench_server.engine.networks import build_model
from loopbench_server.engine.training import Weights, train
from loopbench_server.worker_config import WorkerConfig

Float64 = NDArray[np.float64]
EPOCHS, BATCH_SIZE = 2, 32
SGD, ADAM = {"kind": "sgd"}, {"kind": "adam"}


def run(**fields: Any) -> tuple[Result, Weights]:
    defaults = {"dataset": Dataset.DIGITS, "epochs": EPOCHS, "batch_size": BATCH_SIZE, "seed": 5}
    return train(RunSpec(**defaults | fields), WorkerConfig(threads=1))


def digest(**fields: Any) -> str:
    return run(**fields)[0].weights_digest


def forward(weights: list[Float64], images: Float64) -> tuple[Float64, Float64, Float64, Float64]:
    w1, b1, w2, b2, w3, b3 = weights
    x = images.reshape(len(images), -1)
    h1 = np.maximum(0, x @ w1 + b1)
    h2 = np.maximum(0, h1 @ w2 + b2)
    return x, h1, h2, h2 @ w3 + b3


def gradients(weights: list[Float64], images: Float64, labels: Float64) -> list[Float64]:
    """Gradients of the squared error, summed over the outputs and averaged over the batch."""
    _, _, w2, _, w3, _ = weights
    x, h1, h2, outputs = forward(weights, images)
    d3 = 2 * (outputs - labels) / len(labels)
    d2 = d3 @ w3.T * (h2 > 0)
    d1 = d2 @ w2.T * (h1 > 0)
    return [x.T @ d1, d1.sum(0), h1.T @ d2, d2.sum(0), h2.T @ d3, d3.sum(0)]


def batches(samples: Samples, order: NDArray[np.int32]) -> Iterator[tuple[Float64, Float64]]:
    for start in range(0, len(order), BATCH_SIZE):
        index = order[start : start + BATCH_SIZE]
        yield samples.images[index].astype(np.float64), samples.one_hot[index].astype(np.float64)


def train_with_numpy(data: Data, optimizer: dict[str, str], epochs: int, rate: float = 0.01) -> list[Float64]:
    """Weights after SGD at ``rate``, or Adam at 0.001 (Kingma and Ba, 2015) with epsilon 1e-7 outside the root."""
    weights = [w.astype(np.float64) for w in build_model(RunSpec(seed=5)).get_weights()]
    first, second = [np.zeros_like(w) for w in weights], [np.zeros_like(w) for w in weights]
    order, step = BatchOrder(5, len(data.train), 1_000), 0
    for epoch in range(epochs):
        for images, labels in batches(data.train, order.epoch(epoch)):
            step += 1
            for i, gradient in enumerate(gradients(weights, images, labels)):
                if optimizer is SGD:
                    weights[i] -= rate * gradient
                    continue
                first[i] = 0.9 * first[i] + 0.1 * gradient
                second[i] = 0.999 * second[i] + 0.001 * gradient**2
                step_size = 0.001 * np.sqrt(1 - 0.999**step) / (1 - 0.9**step)
                weights[i] -= step_size * first[i] / (np.sqrt(second[i]) + 1e-7)
    return weights
