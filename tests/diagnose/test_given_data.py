"""Loops that receive the kind of data that the user has: a fault is found, and the sound pair has no cause."""

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from loopbench_diagnose import Data, compile_and_fit, diagnose, steps

CLASSES = 3
LOSS = keras.losses.SparseCategoricalCrossentropy()
SIZE = 16


def samples(count: int, seed: int) -> tuple[Any, Any]:
    random = np.random.default_rng(seed)
    y = random.integers(0, CLASSES, count)
    return (random.normal(y[:, None], 1.0, (count, 5))).astype("float32"), y


def build_model() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((5,)),
            keras.layers.Dense(8, activation="tanh"),
            keras.layers.Dropout(0.2),
            keras.layers.Dense(CLASSES, activation="softmax"),
        ]
    )


X, Y = samples(130, 1)


class Sequence(keras.utils.PyDataset):  # type: ignore[misc]  # Keras has no types
    def __len__(self) -> int:
        return math.ceil(len(X) / SIZE)

    def __getitem__(self, index: int) -> Any:
        rows = slice(index * SIZE, (index + 1) * SIZE)
        return X[rows], Y[rows]


def dataset(count: int = 130, seed: int = 1) -> Any:
    return tf.data.Dataset.from_tensor_slices(samples(count, seed))


def from_dataset(data: Any) -> Any:
    return data


def from_sequence(data: Any) -> Any:
    return (data[index] for index in range(len(data)))


def from_arrays(data: Any) -> Any:
    x, y = data
    return tf.data.Dataset.from_tensor_slices((x, y)).batch(SIZE)


def from_mapping(data: Any) -> Any:
    return tf.data.Dataset.from_tensor_slices((data["x"], data["y"])).batch(SIZE)


def from_samples(data: Any) -> Any:
    return data.batch(SIZE)


KINDS: dict[str, tuple[Any, Callable[[Any], Any]]] = {
    "batches": (lambda: dataset().batch(SIZE), from_dataset),
    "samples": (dataset, from_samples),
    "sequence": (Sequence, from_sequence),
    "arrays": ((X, Y), from_arrays),
    "mapping": ({"x": X, "y": Y}, from_mapping),
}


def loop(batches: Callable[[Any], Any], *, training: bool = True) -> Any:
    def train(model: Any, data: Any, epochs: int) -> Any:
        optimizer, mean = keras.optimizers.SGD(0.1), keras.metrics.Mean()
        for _ in range(epochs):
            mean.reset_state()
            for x, y in batches(data):
                with tf.GradientTape() as tape:
                    loss = LOSS(y, model(tf.convert_to_tensor(x), training=training))
                gradients = tape.gradient(loss, model.trainable_variables)
                optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
                mean.update_state(loss, sample_weight=len(x))
        return {"loss": float(mean.result())}

    return train


def fit() -> Any:
    return compile_and_fit(optimizer=keras.optimizers.SGD(0.1), loss=LOSS, batch_size=SIZE, shuffle=False)


@pytest.mark.parametrize("kind", KINDS)
def test_a_loop_of_every_kind_is_compared_with_fit(kind: str) -> None:
    data, batches = KINDS[kind]
    assert diagnose(build_model, data, fit(), loop(batches)).causes == ()


@pytest.mark.parametrize("kind", ["batches", "sequence"])
def test_a_fault_is_found_where_a_loop_reads_a_data_set(kind: str) -> None:
    data, batches = KINDS[kind]
    diagnosis = diagnose(build_model, data, fit(), loop(batches, training=False))
    assert [cause.reason for cause in diagnosis.causes] == ["TRAINING_FLAG"]


def one_step(model: Any, optimizer: Any, x: Any, y: Any, sample_weight: Any) -> Any:
    with tf.GradientTape() as tape:
        loss = LOSS(y, model(x, training=True), sample_weight)
    optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
    return loss


@pytest.mark.parametrize("kind", ["batches", "sequence"])
def test_a_step_takes_the_batches_of_a_data_set(kind: str) -> None:
    second = steps(one_step, optimizer=keras.optimizers.SGD(0.1), batch_size=7)
    assert diagnose(build_model, KINDS[kind][0], fit(), second).causes == ()


def test_validation_batches_are_compared() -> None:
    data = Data(dataset().batch(SIZE), validation=Data(dataset(50, 2).batch(8)))

    def keras_fit(model: Any, data: Any, epochs: int) -> Any:
        model.compile(optimizer=keras.optimizers.SGD(0.1), loss=LOSS)
        return model.fit(data.x, validation_data=data.validation.x, epochs=epochs, shuffle=False, verbose=0)

    def by_hand(model: Any, data: Any, epochs: int) -> Any:
        reported = loop(from_dataset)(model, data.x, epochs)
        losses = [float(LOSS(y, model(x))) for x, y in data.validation.x]
        return {**reported, "val_loss": np.mean(losses)}

    assert diagnose(build_model, data, fit(), keras_fit).causes == ()
    causes = diagnose(build_model, data, fit(), by_hand).causes
    assert [cause.reason for cause in causes] == ["UNWEIGHTED_MEAN"]


def vae_loss(x: Any, outputs: Any) -> Any:
    return tf.reduce_mean(tf.square(x - outputs))


class Reconstruction(keras.Model):  # type: ignore[misc]  # Keras has no types
    """Needs no labels: the inputs are the targets."""

    def compute_loss(self, x: Any, y: Any, y_pred: Any, *_: Any, **__: Any) -> Any:
        assert y is None
        return vae_loss(x, y_pred)


def build_autoencoder() -> keras.Model:
    inputs = keras.Input((5,))
    return Reconstruction(inputs, keras.layers.Dense(5)(keras.layers.Dense(3, activation="tanh")(inputs)))


def unsupervised(model: Any, data: Any, epochs: int) -> Any:
    optimizer = keras.optimizers.SGD(0.1)
    for _ in range(epochs):
        total = 0.0
        for x in tf.data.Dataset.from_tensor_slices(data.x).batch(SIZE):
            with tf.GradientTape() as tape:
                loss = vae_loss(x, model(x, training=True))
            optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
            total += float(loss) * len(x)
    return {"loss": total / len(data)}


def test_a_model_without_labels_is_compared() -> None:
    first = compile_and_fit(optimizer=keras.optimizers.SGD(0.1), batch_size=SIZE, shuffle=False)
    assert diagnose(build_autoencoder, Data(X), first, unsupervised).causes == ()


WORDS = np.array(["good", "bad", "fine", "awful", "film", "plot", "very", "the"])
TEXTS = np.array([" ".join(row) for row in WORDS[np.random.default_rng(3).integers(0, len(WORDS), (110, 5))]])
RATINGS = np.array([text.count("good") + text.count("fine") > 1 for text in TEXTS], "float32")[:, None]
VECTORS = keras.layers.TextVectorization(max_tokens=12, output_sequence_length=5)
VECTORS.adapt(TEXTS)


def build_text_model() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((), dtype="string"),
            VECTORS,
            keras.layers.Embedding(12, 4),
            keras.layers.GlobalAveragePooling1D(),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )


@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_strings_are_compared(scale: float) -> None:
    crossentropy = keras.losses.BinaryCrossentropy()

    def by_hand(model: Any, data: Any, epochs: int) -> Any:
        optimizer = keras.optimizers.SGD(0.1)
        for _ in range(epochs):
            for x, y in data:
                with tf.GradientTape() as tape:
                    loss = scale * crossentropy(y, model(x, training=True))
                optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)

    first = compile_and_fit(optimizer=keras.optimizers.SGD(0.1), loss=crossentropy)
    data = tf.data.Dataset.from_tensor_slices((TEXTS, RATINGS)).batch(SIZE)
    causes = diagnose(build_text_model, data, first, by_hand).causes
    assert [cause.reason for cause in causes] == ([] if scale == 1 else ["LOSS_REDUCTION"])


# As many samples as a batch and more: experiments on one batch cut both sets to its size.
VALIDATION = {"smaller": samples(50, 2), "equal": samples(130, 2)}


@pytest.mark.parametrize("size", VALIDATION)
@pytest.mark.parametrize("training", [True, False])
def test_a_pair_of_arrays_is_compared_with_fit(size: str, *, training: bool) -> None:
    def by_hand(model: Any, data: Any, epochs: int) -> Any:
        train, (x, y) = data
        reported = loop(from_arrays, training=training)(model, train, epochs)
        return {**reported, "val_loss": float(LOSS(y, model(x)))}

    diagnosis = diagnose(build_model, ((X, Y), VALIDATION[size]), fit(), by_hand)
    assert diagnosis.not_tested == ()
    assert [cause.reason for cause in diagnosis.causes] == ([] if training else ["TRAINING_FLAG"])
