"""Faults in what is trained on: pairs, orders, inputs and updates."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from loopbench.spec import Reason, Side
from loopbench_diagnose import Data, compile_and_fit, diagnose
from loopbench_diagnose.loops import Loop

from .fault_models import LAST, SAMPLES, SIZE, images, mean_log, only, reviews, sgd, signals, squared, step_of, taped

MANY = 199

# Which is how Keras itself says what is wrong here.
pytestmark = pytest.mark.filterwarnings("ignore:`shuffle=True` was passed")


def on(make: Any, loss: Any = squared) -> Loop:
    """A loop over ``make(data)``, a tf.data.Dataset, that reports nothing."""

    def train(model: Any, data: Data, epochs: int) -> None:
        optimizer, step, dataset = sgd()(), step_of(loss), make(data)
        for _ in range(epochs):
            for x, y in dataset:
                step(model, optimizer, x, y, None)

    return train


def _pairs(data: Data) -> Any:
    return tf.data.Dataset.from_tensor_slices((data.x, data.y))


def _shuffled(data: Data) -> Any:
    return _pairs(data).shuffle(len(data)).batch(SIZE)


def _shuffled_apart(data: Data) -> Any:
    x, y = (tf.data.Dataset.from_tensor_slices(part).shuffle(len(data)) for part in (data.x, data.y))
    return tf.data.Dataset.zip((x, y)).batch(SIZE)


def test_datasets_that_are_shuffled_apart() -> None:
    build, data = signals()
    found = only(diagnose(build, data, taped(squared), on(_shuffled_apart)), Reason.PAIRS_SHUFFLED_APART, Side.SECOND)
    assert found["gradient_gap_without_cause"].observed == pytest.approx(0, abs=1e-4)


@pytest.mark.slow
def test_datasets_that_are_shuffled_apart_beside_noise() -> None:
    """Noise for the places of a batch goes with other samples in another order, which is no fault."""

    def noisy(y: Any, outputs: Any) -> Any:
        return squared(y, outputs + 0.3 * tf.random.normal(outputs.shape))

    build, data = signals()
    assert diagnose(build, data, taped(noisy), on(_shuffled, noisy)).causes == ()
    only(diagnose(build, data, taped(noisy), on(_shuffled_apart, noisy)), Reason.PAIRS_SHUFFLED_APART, Side.SECOND)


@pytest.mark.slow
def test_arrays_that_are_shuffled_apart_in_place() -> None:
    build, data = images()

    def train(model: Any, data: Data, epochs: int) -> Any:
        x, y = data.x, data.y
        np.random.shuffle(x)  # noqa: NPY002  as people write it
        np.random.shuffle(y)  # noqa: NPY002
        return taped(mean_log)(model, Data(x, y), epochs)

    before = data.x.copy()
    only(diagnose(build, data, taped(mean_log), train), Reason.PAIRS_SHUFFLED_APART, Side.SECOND)
    assert np.array_equal(data.x, before)


def _fit_dataset(model: Any, data: Data, epochs: int) -> Any:
    """``shuffle=True`` says nothing of a dataset."""
    model.compile(optimizer=sgd()(), loss="mse")
    return model.fit(_pairs(data).batch(SIZE), shuffle=True, epochs=epochs, verbose=0)


ORDERS: dict[str, tuple[Loop, str, float]] = {
    "buffer": (on(lambda data: _pairs(data).shuffle(8).batch(SIZE)), "within a buffer", 7),
    "batches": (on(lambda data: _pairs(data).batch(SIZE).shuffle(100)), "within a buffer", MANY),
    "once": (
        on(lambda data: _pairs(data).shuffle(len(data), reshuffle_each_iteration=False).batch(SIZE)),
        "shuffled once",
        MANY,
    ),
    "none": (taped(squared, shuffle=False), "not shuffled", 0),
    "dataset": (_fit_dataset, "not shuffled", 0),
}


@pytest.mark.parametrize(
    "name", ["buffer", *(pytest.param(name, marks=pytest.mark.slow) for name in ("once", "none", "dataset"))]
)
def test_weak_shuffles(name: str) -> None:
    loop, reported, reach = ORDERS[name]
    build, data = signals(samples=MANY)
    diagnosis = diagnose(build, data, taped(squared), loop)
    found = only(diagnosis, Reason.SHUFFLE, Side.SECOND)
    assert reported in diagnosis.causes[0].title
    # No sample comes to the front by more than the rest of the buffer.
    assert found["reach"].observed <= reach


@pytest.mark.parametrize("scale", ["standard", pytest.param(1 / 255, marks=pytest.mark.slow)])
def test_inputs_that_are_scaled_on_one_side(scale: Any) -> None:
    build, data = signals()

    def scaled(y: Any, outputs: Any) -> Any:
        return squared(y, outputs)

    def train(model: Any, data: Data, epochs: int) -> Any:
        x = (data.x - 1) / 3 if scale == "standard" else data.x * scale
        return taped(scaled)(model, replace(data, x=x), epochs)

    found = only(diagnose(build, data, taped(squared), train), Reason.INPUTS)
    reported = found["second_inputs"].description
    values = data.x[:SIZE]
    low = (values.min() - 1) / 3 if scale == "standard" else values.min() * scale
    assert f"{low:.4g} to" in reported


@pytest.mark.slow
def test_another_batch_size() -> None:
    build, data = reviews()

    def fit(size: int) -> Loop:
        return compile_and_fit(optimizer=sgd(), loss="binary_crossentropy", batch_size=size)

    found = only(diagnose(build, data, fit(SIZE), fit(8)), Reason.UPDATES)
    # 61 = 3 × 16 + 13 = 7 × 8 + 5.
    assert (found["updates"].expected, found["updates"].observed) == (4, 8)
    assert found["batches"].description.endswith("16 × 3, 13 × 1 and 8 × 7, 5 × 1.")


def test_a_remainder_that_is_dropped() -> None:
    build, data = signals()
    dropping = on(lambda data: _pairs(data).shuffle(len(data)).batch(SIZE, drop_remainder=True))
    found = only(diagnose(build, data, taped(squared), dropping), Reason.UPDATES)
    assert (found["updates"].expected, found["updates"].observed) == (4, 3)
    assert (found["samples"].expected, found["samples"].observed) == (SAMPLES, SAMPLES - LAST)


@pytest.mark.slow
def test_steps_per_epoch() -> None:
    build, data = signals()

    def train(model: Any, data: Data, epochs: int) -> Any:
        model.compile(optimizer=sgd()(), loss="mse")
        dataset = _pairs(data).shuffle(len(data)).batch(SIZE).repeat()
        return model.fit(dataset, epochs=epochs, steps_per_epoch=len(data) // SIZE or 1, verbose=0)

    found = only(diagnose(build, data, taped(squared), train), Reason.UPDATES)
    assert (found["updates"].expected, found["updates"].observed) == (4, 3)


def test_batches_of_two_sizes_that_make_as_many_updates() -> None:
    build, data = signals()
    # 61 = 3 × 20 + 1 = 3 × 19 + 4.
    first, second = (taped(squared, batch_size=size) for size in (20, 19))
    found = only(diagnose(build, data, first, second), Reason.UPDATES)
    assert (found["updates"].expected, found["updates"].observed) == (4, 4)
    assert found["batches"].description.endswith("20 × 3, 1 × 1 and 19 × 3, 4 × 1.")


def _split_into_four(model: Any, data: Data, epochs: int) -> None:
    optimizer, step, generator = sgd()(), step_of(squared), np.random.default_rng(0)
    for _ in range(epochs):
        for at in np.array_split(generator.permutation(len(data)), 4):
            step(model, optimizer, data.x[at], data.y[at], None)


@pytest.mark.parametrize(("size", "reasons"), [(16, []), (17, [Reason.UPDATES])])
def test_batches_that_are_parts_of_the_given_number_of_samples(size: int, reasons: list[Reason]) -> None:
    # 64 = 4 × 16, while 61, the largest prime number below, is 16 + 3 × 15.
    build, data = signals(samples=64)
    diagnosis = diagnose(build, data, taped(squared, batch_size=size), _split_into_four)
    assert [cause.reason for cause in diagnosis.causes] == reasons
