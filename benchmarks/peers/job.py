"""The job, the timing and the output that all peers share."""

import argparse
import itertools
import json
import resource
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]

CLASSES = 10
SHUFFLE_BUFFER = 1_000
# The CNN of the service, by its defaults.
FILTERS, DROPOUT = (16, 32, 64), 0.25
# Images of one forward pass: the feature maps of a whole set would take gigabytes.
OUTPUT_BATCH = 1_000


@dataclass(frozen=True)
class Job:
    """The article's job, on its network or on a CNN.

    ``layers`` are the units of the hidden layers of its network; ``threads`` 0 is the library's own choice; ``device``
    is ``cpu``, or ``gpu`` for the first GPU.
    """

    mnist: Path
    epochs: int
    batch_size: int
    layers: tuple[int, ...]
    threads: int
    network: str = "mlp"
    device: str = "cpu"
    learning_rate: float = 0.01
    seed: int = 0


@dataclass(frozen=True)
class Samples:
    """``images`` float32[n, 28, 28] from 0 to 1, ``labels`` one-hot float32[n, 10]."""

    images: Float32
    labels: Float32

    def __len__(self) -> int:
        return len(self.labels)


class Peer(ABC):
    """An implementation that trains from its initial weights."""

    def __init__(self, job: Job, train: Samples) -> None:
        self.job = job
        self.train = train

    @abstractmethod
    def fit(self) -> list[float]:
        """Train all epochs and return the seconds of each."""

    @abstractmethod
    def outputs(self, images: Float32) -> Float32:
        """The network's outputs on ``images``: float32[n, 10]."""


class PeerByEpoch(Peer):
    """A peer with this module's loop over the epochs."""

    @abstractmethod
    def epoch(self) -> None:
        """One pass over the training set, complete on the device at the return."""

    def fit(self) -> list[float]:
        """Train epoch by epoch."""
        seconds = []
        for _ in range(self.job.epochs):
            before = time.perf_counter()
            self.epoch()
            seconds.append(time.perf_counter() - before)
        return seconds


def shapes(job: Job) -> list[tuple[int, int]]:
    """Shapes of the weight matrices: (inputs, units)."""
    units = [28 * 28, *job.layers, CLASSES]
    return list(itertools.pairwise(units))


def glorot_uniform(job: Job) -> list[Float32]:
    """Weight matrices with Keras's default initialisation (Glorot and Bengio, 2010)."""
    generator = np.random.default_rng(job.seed)
    limits = [(6 / sum(shape)) ** 0.5 for shape in shapes(job)]
    return [
        generator.uniform(-limit, limit, shape).astype(np.float32)
        for shape, limit in zip(shapes(job), limits, strict=True)
    ]


def _samples(images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> Samples:
    return Samples(np.divide(images, np.float32(255), dtype=np.float32), np.eye(CLASSES, dtype=np.float32)[labels])


def job_from(arguments: Sequence[str]) -> Job:
    """The job that the command line of a peer describes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--mnist", type=Path, required=True, help="the file mnist.npz")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--layers", type=int, nargs="*", default=(256, 128))
    parser.add_argument("--network", choices=("mlp", "cnn"), default="mlp")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu")
    options = vars(parser.parse_args(arguments))
    return Job(**options | {"layers": tuple(options["layers"])})


def _accuracy(peer: Peer, samples: Samples) -> float:
    return float((peer.outputs(samples.images).argmax(axis=1) == samples.labels.argmax(axis=1)).mean())


def main(peer_class: type[Peer], limit_threads: Callable[[int], Any]) -> None:
    """Trains as the command line says, and prints times in seconds, accuracies from 0 to 1 and memory in bytes.

    ``limit_threads(n)`` sets the number of threads of the library, before any other use of it.
    """
    job = job_from(sys.argv[1:])
    if job.threads:
        limit_threads(job.threads)
    with np.load(job.mnist) as arrays:
        train = _samples(arrays["x_train"], arrays["y_train"])
        validation = _samples(arrays["x_test"], arrays["y_test"])
    peer = peer_class(job, train)
    measured = {
        "epoch_seconds": peer.fit(),
        "train_accuracy": _accuracy(peer, train),
        "validation_accuracy": _accuracy(peer, validation),
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }
    print(json.dumps(measured))
