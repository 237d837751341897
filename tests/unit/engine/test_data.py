import hashlib
import inspect
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from loopbench.spec import Dataset
from loopbench_server.engine import data
from loopbench_server.engine.tensors import as_tensors
from loopbench_server.errors import DatasetCorruptError, DatasetNotAvailableError


def test_tables_are_complete() -> None:
    assert set(data.DATASETS) == set(Dataset)


@pytest.mark.parametrize(
    ("dataset", "train", "validation"),
    [(Dataset.DIGITS, 1_438, 359), pytest.param(Dataset.MNIST, 60_000, 10_000, marks=pytest.mark.mnist)],
)
def test_shapes_and_range(dataset: Dataset, train: int, validation: int, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue("mnist_dir") if dataset is Dataset.MNIST else None
    loaded = data.load(dataset, folder)
    for samples, count in ((loaded.train, train), (loaded.validation, validation)):
        assert samples.images.shape == (count, 28, 28)
        assert samples.images.dtype == np.float32
        assert (samples.images.min(), samples.images.max()) == (0, 1)
        assert sorted(set(samples.labels.tolist())) == list(range(10))
        assert np.array_equal(samples.one_hot.argmax(axis=1), samples.labels)
    described = {info.dataset: info for info in data.describe(folder)}[dataset]
    assert (described.train_samples, described.validation_samples, described.available) == (train, validation, True)


def test_interpolation_by_hand() -> None:
    # Two pixels onto four: centres at -0.25, 0.25, 0.75 and 1.25 of the source's grid.
    assert data.interpolation(2, 4).tolist() == [[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]]


def test_digits_keep_their_mean_grey(digits: data.Data) -> None:
    with np.load(data.DIGITS_FILE) as archive:
        source = archive["images"].mean() / 16
    scaled = np.concatenate([digits.train.images, digits.validation.images]).mean()
    assert scaled == pytest.approx(source, rel=0.02)


@pytest.mark.parametrize(
    ("content", "message"), [(b"", "cannot be read"), (b"PK\x03\x04 no archive", "cannot be read")]
)
def test_an_unreadable_file_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "mnist.npz").write_bytes(content)
    with pytest.raises(DatasetCorruptError, match=message):
        data.load(Dataset.MNIST, tmp_path)


def test_wrong_contents_are_refused(tmp_path: Path) -> None:
    arrays = {"x_train": (2, 28, 28), "y_train": (2,), "x_test": (1, 28, 28), "y_test": (1,)}
    zeros: dict[str, Any] = {name: np.zeros(shape, np.uint8) for name, shape in arrays.items()}
    np.savez(tmp_path / "mnist.npz", **zeros)
    with pytest.raises(DatasetCorruptError, match="x_train, y_train, x_test, y_test"):
        data.load(Dataset.MNIST, tmp_path)


def test_mnist_is_read_from_the_keras_cache() -> None:
    source = inspect.getsource(keras.datasets.mnist.load_data)
    assert data.MNIST_SHA256 in source
    folder, _, name = data.MNIST_URL.rpartition("/")
    assert f'"{folder}/"' in source
    assert f"{{origin_folder}}{name}" in source


def test_download_is_put_into_the_cache(
    tmp_path: Path, mnist_dir: Path, web: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    content = (mnist_dir / "mnist.npz").read_bytes()
    web.chunks = [content]
    monkeypatch.setattr(data, "MNIST_URL", web.url)
    monkeypatch.setattr(data, "MNIST_SHA256", hashlib.sha256(content).hexdigest())
    monkeypatch.setattr(data, "MNIST_BYTES", len(content))
    assert len(data.load(Dataset.MNIST, None).train) == 60_000
    assert [file.name for file in (tmp_path / "datasets").iterdir()] == ["mnist.npz"]


def test_a_missing_mnist_is_an_error(tmp_path: Path, web: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    web.status = 404
    monkeypatch.setattr(data, "MNIST_URL", web.url)
    with pytest.raises(DatasetNotAvailableError, match="download failed: HTTP Error 404"):
        data.load(Dataset.MNIST, tmp_path)


def test_tensors_have_the_memory_of_digits() -> None:
    # Several arrays at once, so that their addresses differ.
    loaded = [data.load(Dataset.DIGITS, None) for _ in range(8)]
    for samples in (part for each in loaded for part in (each.train, each.validation)):
        for tensor, array in zip(as_tensors(samples), (samples.images, samples.one_hot), strict=True):
            assert np.shares_memory(np.asarray(memoryview(tensor)), array)


@pytest.mark.parametrize("offset", [0, 4])
def test_tensors_hold_what_arrays_hold(offset: int) -> None:
    memory = data.empty_aligned((2, 28, 29))
    assert memory.ctypes.data % 64 == 0
    memory[:] = np.random.default_rng(0).random(memory.shape)
    # The array starts at a multiple of 64 bytes, or four bytes after one.
    images = memory.reshape(-1)[offset // 4 :][: 2 * 28 * 28].reshape(2, 28, 28)
    tensors = as_tensors(data.Samples(images, np.array([3, 9], np.int32)))
    assert np.array_equal(tensors[0], images)
    # Aligned memory needs no second copy of 188 MB.
    assert np.shares_memory(np.asarray(memoryview(tensors[0])), images) is (offset == 0)
    assert tensors[1].numpy().tolist() == [[0, 0, 0, 1, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0, 0, 0, 1]]
