"""The datasets: located, verified and scaled.

MNIST (LeCun, Cortes, Burges; CC BY-SA 3.0) is searched in the data folder and in Keras's cache, and otherwise
downloaded from Keras's source into that cache. DIGITS (UCI, CC BY 4.0) is part of the package;
``scripts/make_digits.py`` made its file.
"""

import hashlib
import math
import os
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loopbench.spec import SAMPLES, Dataset, DatasetInfo
from loopbench_server.engine.download import DownloadError, Source, download
from loopbench_server.errors import DatasetCorruptError, DatasetNotAvailableError

# Pixels of an image per side, and classes.
SIDE, CLASSES = 28, 10
# Alignment of TensorFlow's tensors in bytes, which lets it use the memory of an array.
ALIGNMENT = 64
DIGITS_FILE = Path(__file__).with_name("digits.npz")
MNIST_FILE = "mnist.npz"
MNIST_BYTES = 11_490_434
# The source of Keras's loader, whose own downloader caches a file before it checks the hash.
MNIST_URL = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz"
MNIST_SHA256 = "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1"

# SHA-256 of each array's bytes: archives of the same arrays differ in their time stamps.
MNIST_DIGESTS = {
    "x_train": "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757",
    "y_train": "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13",
    "x_test": "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
    "y_test": "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5",
}
DIGITS_DIGESTS = {
    "images": "8f26b2bd9d135c256808f68f14fdabddde6d9c7f869ae419704b051f0f14b3b3",
    "labels": "8ba4f891220f5e4c9c819638d1602d74b83618f167043c6da52a2a247841ddf0",
}


def empty_aligned(shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return an uninitialised array of ``shape`` whose memory begins at a multiple of :data:`ALIGNMENT`."""
    memory = np.empty(4 * math.prod(shape) + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + 4 * math.prod(shape)].view(np.float32).reshape(shape)


def aligned_copy(array: NDArray[Any]) -> NDArray[np.float32]:
    """Return a copy of ``array`` in aligned memory."""
    copy = empty_aligned(array.shape)
    copy[...] = array
    return copy


@dataclass(frozen=True, eq=False)
class Samples:
    """``images`` float32[n, 28, 28] from 0 to 1, ``labels`` int32[n] from 0 to 9."""

    images: NDArray[np.float32]
    labels: NDArray[np.int32]

    @cached_property
    def one_hot(self) -> NDArray[np.float32]:
        """One-hot labels, float32[n, 10]."""
        return np.take(np.eye(CLASSES, dtype=np.float32), self.labels, axis=0, out=empty_aligned((len(self), CLASSES)))

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Data:
    """A dataset with its fixed split."""

    train: Samples
    validation: Samples


def read_verified(path: Path, digests: Mapping[str, str]) -> dict[str, NDArray[np.uint8]]:
    """Return the arrays of an ``.npz`` file.

    Raises:
        DatasetCorruptError: the file cannot be read, or an array is missing or has another SHA-256.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in digests}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        # The text of an OSError names the folder, which callers must not see.
        cause = error.strerror if isinstance(error, OSError) else error
        raise DatasetCorruptError(f"{path.name} cannot be read: {cause}") from error
    wrong = [name for name in digests if hashlib.sha256(arrays[name].tobytes()).hexdigest() != digests[name]]
    if wrong:
        raise DatasetCorruptError(f"{path.name} has unexpected contents in {', '.join(wrong)}")
    return arrays


def _keras_cache() -> Path:
    home = os.environ.get("KERAS_HOME")
    return (Path(home) if home else Path.home() / ".keras") / "datasets" / MNIST_FILE


def find_mnist(data_dir: Path | None) -> Path | None:
    """Return the path of MNIST on this machine, if it is there."""
    places = [*([data_dir / MNIST_FILE] if data_dir else []), _keras_cache()]
    return next((path for path in places if path.is_file()), None)


def _download_mnist() -> Path:
    cache = _keras_cache()
    try:
        download(Source(MNIST_URL, MNIST_SHA256), cache, MNIST_BYTES)
    except DownloadError as error:
        raise DatasetNotAvailableError(f"MNIST is not on this machine and its download failed: {error}") from error
    return cache


def make_samples(images: NDArray[Any], labels: NDArray[Any]) -> Samples:
    """Return a copy in memory that TensorFlow can use."""
    return Samples(aligned_copy(images), labels.astype(np.int32))


def _scaled(images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> Samples:
    scaled = np.divide(images, np.float32(255), dtype=np.float32, out=empty_aligned(images.shape))
    return Samples(scaled, labels.astype(np.int32))


def _load_mnist(data_dir: Path | None) -> Data:
    arrays = read_verified(find_mnist(data_dir) or _download_mnist(), MNIST_DIGESTS)
    return Data(_scaled(arrays["x_train"], arrays["y_train"]), _scaled(arrays["x_test"], arrays["y_test"]))


def interpolation(source: int, target: int) -> NDArray[np.float32]:
    """Return weights of linear interpolation between pixel centres, edges held: float32[target, source]."""
    centres = np.clip((np.arange(target) + 0.5) * source / target - 0.5, 0, source - 1)
    distance = np.abs(centres[:, None] - np.arange(source)[None, :])
    return np.maximum(0, 1 - distance).astype(np.float32)


def _load_digits(_: Path | None) -> Data:
    arrays = read_verified(DIGITS_FILE, DIGITS_DIGESTS)
    images, labels = arrays["images"], arrays["labels"]
    weights = interpolation(images.shape[1], SIDE)
    scaled = weights @ (images / np.float32(16)) @ weights.T
    # Every fifth image: neighbours come from one writer, so the tail alone would have other writers.
    held_out = np.arange(len(labels)) % 5 == 4  # noqa: PLR2004  the fifth
    return Data(make_samples(scaled[~held_out], labels[~held_out]), make_samples(scaled[held_out], labels[held_out]))


@dataclass(frozen=True)
class DatasetVariant:
    """Functions that load a dataset, and that check whether it is on this machine."""

    load: Callable[[Path | None], Data]
    is_available: Callable[[Path | None], bool]


DATASETS: dict[Dataset, DatasetVariant] = {
    Dataset.MNIST: DatasetVariant(_load_mnist, lambda folder: find_mnist(folder) is not None),
    Dataset.DIGITS: DatasetVariant(_load_digits, lambda _: True),
}


# Verified by their digests, so that later changes of their files do not matter.
_shared: dict[tuple[Dataset, Path | None], Data] = {}


def preload(dataset: Dataset, data_dir: Path | None) -> None:
    """Load ``dataset`` for this process and all processes forked from it, if it is on this machine.

    Raises:
        DatasetCorruptError: its file has unexpected contents.
    """
    if DATASETS[dataset].is_available(data_dir):
        data = _shared[dataset, data_dir] = load(dataset, data_dir)
        for samples in (data.train, data.validation):
            _ = samples.one_hot  # computed at the first access


def load(dataset: Dataset, data_dir: Path | None) -> Data:
    """Return the samples of ``dataset``; ``data_dir`` is searched for MNIST first.

    Raises:
        DatasetNotAvailableError: the dataset is not on this machine and cannot be downloaded.
        DatasetCorruptError: its file has unexpected contents.
    """
    return _shared.get((dataset, data_dir)) or DATASETS[dataset].load(data_dir)


def describe(data_dir: Path | None) -> tuple[DatasetInfo, ...]:
    """Return all datasets, and whether each can be loaded without a download."""
    return tuple(
        DatasetInfo(
            dataset=dataset,
            available=variant.is_available(data_dir),
            train_samples=SAMPLES[dataset][0],
            validation_samples=SAMPLES[dataset][1],
        )
        for dataset, variant in DATASETS.items()
    )
