"""Loops with one fault each, and the same loops without it, on models of several shapes."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from loopbench.spec import Reason
from loopbench_diagnose import Data, Side, compile_and_fit
from loopbench_diagnose.loops import Loop

from .fault_models import (
    SIZE,
    Problem,
    adam,
    heads,
    images,
    log_of_class,
    mean_log,
    reviews,
    sgd,
    signals,
    squared,
    taped,
)

SPARSE = "sparse_categorical_crossentropy"


@dataclass(frozen=True)
class Fault:
    """Two sides that differ by a fault, and the second side without it; ``more`` may be reported besides."""

    reason: str
    problem: Problem
    first: Loop | Side
    faulty: Loop | Side
    repaired: Loop | Side
    more: tuple[str, ...] = ()


def fit(loss: Any = "mse", optimizer: Any = sgd(), **options: Any) -> Loop:  # noqa: B008  it makes one for every run
    return compile_and_fit(**{"optimizer": optimizer, "batch_size": SIZE, "loss": loss, **options})


def built(model: keras.Model | Callable[[], keras.Model], loop: Loop) -> Side:
    return Side(loop, build_model=model)


def batches(data: Data, size: int = SIZE) -> Any:
    return tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(len(data)).batch(size)


def gradients_of(loss: Any, model: Any, x: Any, y: Any, variables: Any = None) -> tuple[Any, Any]:
    with tf.GradientTape() as tape:
        value = loss(y, model(x, training=True))
    return value, tape.gradient(value, model.trainable_variables if variables is None else variables)


def looped(
    loss: Any,
    *,
    optimizer: Any = sgd(),  # noqa: B008
    before_epoch: Any = None,
    after_update: Any = None,
    after_epoch: Any = None,
    variables: Any = None,
    prepare: Any = None,
) -> Loop:
    """A loop that calls what it is given at its places, with the model, its optimizer and a separate dictionary."""

    def train(model: Any, data: Data, epochs: int) -> dict[str, float]:
        made, notes = optimizer(), {"updates": 0}
        mean = keras.metrics.Mean()
        for epoch in range(epochs):
            mean.reset_state()
            made = (before_epoch(model, made, notes, epoch) if before_epoch else None) or made
            for x, y in batches(data):
                inputs, labels = prepare(x, y, notes) if prepare else (x, y)
                chosen = variables(model) if variables else model.trainable_variables
                value, gradients = gradients_of(loss, model, inputs, labels, chosen)
                made.apply_gradients(zip(gradients, chosen, strict=True))
                notes["updates"] += 1
                mean.update_state(value, sample_weight=len(x))
                if after_update:
                    after_update(model, made, notes)
            if after_epoch:
                after_epoch(model, made, notes, epoch)
        return {"loss": float(mean.result())}

    return train


# Models.


def _sequences(mask: bool = True, units: int = 4) -> Problem:
    """Tokens with padding, a label for every position."""
    generator = np.random.default_rng(3)
    lengths = generator.integers(1, 7, 61)
    x = np.where(np.arange(6)[None] < lengths[:, None], generator.integers(1, 9, (61, 6)), 0)

    def build() -> keras.Model:
        return keras.Sequential(
            [
                keras.Input((6,), dtype="int32"),
                layers.Embedding(9, 5, mask_zero=mask),
                layers.GRU(units, return_sequences=True),
                layers.Dense(3, activation="softmax"),
            ]
        )

    return build, Data(x.astype("int32"), (x % 3).astype("int64"))


def _attention(dropout: float = 0.0, epsilon: float = 1e-6) -> Callable[[], keras.Model]:
    def build() -> keras.Model:
        inputs = keras.Input((8, 2))
        hidden = layers.Dense(8)(inputs)
        hidden = layers.Add()([hidden, layers.MultiHeadAttention(2, 4, dropout=dropout)(hidden, hidden)])
        hidden = layers.LayerNormalization(epsilon=epsilon)(hidden)
        return keras.Model(inputs, layers.Dense(3)(layers.Flatten()(hidden)))

    return build


def _normalized(momentum: float = 0.9, rate: float = 0.3, kind: Any = layers.ReLU) -> Callable[[], keras.Model]:
    def build() -> keras.Model:
        return keras.Sequential(
            [
                keras.Input((6, 6, 1)),
                layers.Conv2D(3, 3),
                layers.BatchNormalization(momentum=momentum),
                kind(),
                layers.Flatten(),
                layers.Dropout(rate),
                layers.Dense(3, activation="softmax"),
            ]
        )

    return build


def _penalized() -> Problem:
    return signals(kernel_regularizer=keras.regularizers.L2(0.05), validation=True)


# Loops.


def _accumulating(*, scale: str = "mean", rest: str = "apply", micro: int = 4) -> Loop:
    """Sixteen samples an update, four at a time."""

    def train(model: Any, data: Data, epochs: int) -> None:
        optimizer, variables = sgd()(), model.trainable_variables
        for _ in range(epochs):
            for x, y in batches(data):
                if rest == "drop" and len(x) < SIZE:
                    continue
                parts = range(0, len(x), micro)
                total = [tf.zeros_like(variable) for variable in variables]
                for start in parts:
                    part = slice(start, start + micro)
                    _, found = gradients_of(squared, model, x[part], y[part])
                    share = {"mean": len(x[part]) / len(x), "equal": 1 / len(parts), "sum": 1.0}[scale]
                    total = [a + share * b for a, b in zip(total, found, strict=True)]
                optimizer.apply_gradients(zip(total, variables, strict=True))

    return train


def _stale(*, reset: bool) -> Loop:
    def train(model: Any, data: Data, epochs: int) -> None:
        optimizer, total = sgd(learning_rate=0.01)(), [tf.Variable(tf.zeros_like(v)) for v in model.trainable_variables]
        for _ in range(epochs):
            for x, y in batches(data):
                for variable, gradient in zip(total, gradients_of(mean_log, model, x, y)[1], strict=True):
                    variable.assign(gradient) if reset else variable.assign_add(gradient)
                optimizer.apply_gradients(zip([v.read_value() for v in total], model.trainable_variables, strict=True))

    return train


def _new_optimizer(model: Any, optimizer: Any, notes: Any, epoch: int) -> Any:  # noqa: ARG001
    return adam()()


def _decay(rate: float) -> Any:
    def after(model: Any, optimizer: Any, notes: Any, *_: Any) -> None:  # noqa: ARG001
        optimizer.learning_rate = 0.05 * rate ** notes["updates"]

    return after


def _restore_first(model: Any, optimizer: Any, notes: Any, epoch: int) -> None:  # noqa: ARG001
    if epoch == 0:
        notes["weights"] = model.get_weights()
    elif epoch == 1:
        model.set_weights(notes["weights"])


def _averaged(*, keep: bool, momentum: float = 0.9) -> Loop:
    def average(model: Any, optimizer: Any, notes: Any) -> None:  # noqa: ARG001
        shadow = notes.setdefault("shadow", [v.numpy() for v in model.trainable_variables])
        notes["shadow"] = [
            momentum * a + (1 - momentum) * v.numpy() for a, v in zip(shadow, model.trainable_variables, strict=True)
        ]

    def put(model: Any, optimizer: Any, notes: Any, epoch: int) -> None:  # noqa: ARG001
        if keep and epoch == 1:
            for variable, value in zip(model.trainable_variables, notes["shadow"], strict=True):
                variable.assign(value)

    return looped(squared, after_update=average, after_epoch=put)


def _stateful(*, reset: bool) -> Loop:
    def train(model: Any, data: Data, epochs: int) -> None:
        optimizer = sgd()()
        for _ in range(epochs):
            for start in range(0, len(data), 10):
                rows = slice(start, start + 10)
                if reset:
                    model.layers[0].reset_states()
                _, gradients = gradients_of(squared, model, data.x[rows], data.y[rows])
                optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))

    return train


def _stateful_problem() -> Problem:
    x = np.random.default_rng(5).normal(size=(60, 4, 2)).astype(np.float32)

    def build() -> keras.Model:
        return keras.Sequential([keras.Input(batch_shape=(10, 4, 2)), layers.GRU(5, stateful=True), layers.Dense(1)])

    return build, Data(x, x.sum(axis=(1, 2))[:, None])


def _noisy(*, again: bool) -> Any:
    def prepare(x: Any, y: Any, notes: Any) -> Any:
        generator = notes.setdefault("generator", np.random.default_rng(0))
        if again:
            generator = np.random.default_rng(0)
        return x + generator.normal(0, 0.3, x.shape).astype(np.float32), y

    return prepare


def _with_replacement(*, replacement: bool) -> Loop:
    def train(model: Any, data: Data, epochs: int) -> None:
        optimizer = sgd()()
        for _ in range(epochs):
            order = np.random.permutation(len(data))  # noqa: NPY002  as people write it
            for start in range(0, len(data), SIZE):
                rows = order[start : start + SIZE]
                if replacement:
                    rows = np.random.randint(len(data), size=len(rows))  # noqa: NPY002
                _, gradients = gradients_of(squared, model, data.x[rows], data.y[rows])
                optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))

    return train


def _validating(
    x_of: Any = lambda data: data.validation, *, scale: float = 1.0, penalty: float = 1.0, unit: float = 1.0
) -> Loop:
    def train(model: Any, data: Data, epochs: int) -> dict[str, float]:
        reported: dict[str, float] = looped(lambda y, z: squared(y, z) + sum(model.losses))(model, data, epochs)
        held = x_of(data)
        if held is None:
            return reported
        loss = squared(held.y, model(held.x * scale, training=False)) + penalty * sum(model.losses)
        return {"loss": reported["loss"] * unit, "val_loss": float(loss) * unit}

    return train


def _reloading(*, save_optimizer: bool) -> Loop:
    """Saves the whole model after the first epoch and goes on with what it loads."""

    def train(model: Any, data: Data, epochs: int) -> Any:
        import tempfile  # noqa: PLC0415

        model.compile(optimizer=adam()(), loss="mse")
        model.fit(data.x, data.y, batch_size=SIZE, epochs=1, verbose=0)
        with tempfile.TemporaryDirectory() as folder:
            model.save(f"{folder}/model.keras")
            loaded = keras.models.load_model(f"{folder}/model.keras", compile=save_optimizer)
        if not save_optimizer:
            loaded.compile(optimizer=adam()(), loss="mse")
        return loaded.fit(data.x, data.y, batch_size=SIZE, epochs=epochs - 1, verbose=0)

    return train


def _shuffled_in_two(model: Any, data: Data, epochs: int) -> Any:
    model.compile(optimizer=adam()(), loss="mse")
    model.fit(data.x, data.y, batch_size=SIZE, epochs=1, verbose=0)
    return model.fit(data.x, data.y, batch_size=SIZE, epochs=epochs - 1, verbose=0)


def scored(threshold: float = 0.5, *, reset: bool = True) -> Loop:
    """Steps that feed a Precision, which keeps counts and no mean."""

    def train(model: Any, data: Data, epochs: int) -> dict[str, float]:
        optimizer, metric = sgd()(), keras.metrics.Precision(thresholds=threshold)
        for _ in range(epochs):
            if reset:
                metric.reset_state()
            for x, y in batches(data):
                with tf.GradientTape() as tape:
                    outputs = model(x, training=True)
                    loss = tf.reduce_mean(keras.losses.binary_crossentropy(y, outputs))
                optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
                metric.update_state(y, outputs)
        return {"precision": float(metric.result())}

    return train


def _of_heads(weight: float) -> Any:
    return lambda y, z: squared(y["value"], z["value"]) + weight * mean_log(y["label"], z["label"])


def _divergence(y: Any, z: Any) -> Any:
    return keras.losses.kl_divergence(tf.one_hot(y, 3), z)


def _smoothed(y: Any, z: Any) -> Any:
    return tf.reduce_mean(keras.losses.categorical_crossentropy(tf.one_hot(y, 3), z, label_smoothing=0.1))


def _masked(y: Any, z: Any, mask: Any) -> Any:
    return tf.reduce_sum(log_of_class(y, z) * mask) / tf.reduce_sum(mask)


def _masked_loop(*, masked: bool) -> Loop:
    def train(model: Any, data: Data, epochs: int) -> None:
        optimizer = sgd()()
        for _ in range(epochs):
            for x, y in batches(data):
                with tf.GradientTape() as tape:
                    mask = tf.cast(x != 0, tf.float32) if masked else tf.ones(x.shape)
                    loss = _masked(y, model(x, training=True), mask)
                optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)

    return train


def _class_weights(y: Any, z: Any) -> Any:
    return tf.reduce_mean(log_of_class(y, z) * tf.gather([0.5, 1.0, 4.0], tf.cast(y, tf.int32)))


def _log_of_nothing(y: Any, z: Any) -> Any:
    return -tf.reduce_mean(tf.math.log(tf.nn.softmax(1e4 * z)) * y)


def _wide() -> keras.Model:
    return signals(kernel_initializer=keras.initializers.RandomNormal(stddev=3.0))[0]()


def _split_off(model: Any, data: Data, epochs: int) -> Any:
    model.compile(optimizer=sgd()(), loss="mse")
    return model.fit(data.x, data.y, batch_size=SIZE, epochs=epochs, validation_split=0.4, verbose=0)


FAULTS: dict[str, Callable[[], Fault]] = {
    # MODEL
    "rate of a dropout": lambda: Fault(
        Reason.MODEL,
        (_normalized(), images()[1]),
        fit(SPARSE),
        built(_normalized(rate=0.7), fit(SPARSE)),
        built(_normalized(), fit(SPARSE)),
    ),
    "epsilon of a layer normalization": lambda: Fault(
        Reason.MODEL,
        (_attention(), signals()[1]),
        fit(),
        built(_attention(epsilon=0.3), taped(squared)),
        built(_attention(), taped(squared)),
    ),
    "activation": lambda: Fault(
        Reason.MODEL,
        (_normalized(), images()[1]),
        taped(mean_log),
        built(_normalized(kind=layers.LeakyReLU), taped(mean_log)),
        built(_normalized(), taped(mean_log)),
    ),
    # LOSS_FUNCTION
    "absolute against squared": lambda: Fault(Reason.LOSS_FUNCTION, signals(), fit(), fit("mae"), fit("mse")),
    "label smoothing": lambda: Fault(
        Reason.LOSS_FUNCTION, images(), fit(SPARSE), taped(_smoothed), taped(mean_log), (Reason.LABELS,)
    ),
    "huber by hand": lambda: Fault(
        Reason.LOSS_FUNCTION,
        (_attention(), signals()[1]),
        taped(squared),
        taped(lambda y, z: tf.reduce_mean(keras.losses.huber(y, z))),
        taped(lambda y, z: tf.reduce_mean(keras.losses.mean_squared_error(y, z))),
    ),
    # LABELS
    "scaled labels": lambda: Fault(
        Reason.LABELS,
        signals(),
        taped(squared),
        taped(lambda y, z: squared(y / 10, z)),
        taped(lambda y, z: squared(y / 1, z)),
    ),
    "renumbered classes": lambda: Fault(
        Reason.LABELS,
        images(),
        fit(SPARSE),
        taped(lambda y, z: mean_log((y + 1) % 3, z)),
        taped(lambda y, z: mean_log((y + 3) % 3, z)),
    ),
    "swapped arguments": lambda: Fault(
        Reason.LABELS,
        images(),
        taped(lambda y, z: tf.reduce_mean(_divergence(y, z)), optimizer=sgd(learning_rate=0.01)),
        taped(lambda y, z: keras.losses.KLDivergence()(z, tf.one_hot(y, 3)), optimizer=sgd(learning_rate=0.01)),
        taped(lambda y, z: keras.losses.KLDivergence()(tf.one_hot(y, 3), z), optimizer=sgd(learning_rate=0.01)),
        (Reason.LOSS_FUNCTION,),
    ),
    # MASK
    "padding in the loss": lambda: Fault(
        Reason.MASK, _sequences(), fit(SPARSE), _masked_loop(masked=False), _masked_loop(masked=True)
    ),
    # LOSS_WEIGHTS
    "weights of two outputs": lambda: Fault(
        Reason.LOSS_WEIGHTS,
        heads(),
        fit({"value": "mse", "label": SPARSE}, loss_weights={"value": 1.0, "label": 0.2}),
        taped(_of_heads(1.0)),
        taped(_of_heads(0.2)),
    ),
    # SAMPLE_WEIGHTS
    "class weights by hand": lambda: Fault(
        Reason.SAMPLE_WEIGHTS, images(), taped(mean_log), taped(_class_weights), taped(mean_log)
    ),
    # VARIABLES_LEFT_OUT
    "frozen convolution": lambda: Fault(
        Reason.VARIABLES_LEFT_OUT,
        images(),
        fit(SPARSE),
        looped(mean_log, variables=lambda model: model.layers[-1].trainable_variables),
        looped(mean_log),
    ),
    "kernels alone": lambda: Fault(
        Reason.VARIABLES_LEFT_OUT,
        (_attention(), signals()[1]),
        taped(squared),
        looped(squared, variables=lambda model: [v for v in model.trainable_variables if "bias" not in v.path]),
        looped(squared),
    ),
    # SAMPLES
    "drawn with replacement": lambda: Fault(
        Reason.SAMPLES,
        signals(),
        taped(squared),
        _with_replacement(replacement=True),
        _with_replacement(replacement=False),
    ),
    "split off for validation": lambda: Fault(
        Reason.SAMPLES, signals(samples=101), fit(), _split_off, fit(), (Reason.UPDATES,)
    ),
    # ACCUMULATION
    "a sum of means": lambda: Fault(
        Reason.ACCUMULATION, signals(), taped(squared), _accumulating(scale="sum"), _accumulating()
    ),
    "a remainder that is dropped": lambda: Fault(
        Reason.ACCUMULATION,
        signals(),
        taped(squared),
        _accumulating(rest="drop"),
        _accumulating(),
        (Reason.UPDATES, Reason.SAMPLES),
    ),
    # STALE_GRADIENTS
    "gradients that add up": lambda: Fault(
        Reason.STALE_GRADIENTS,
        images(),
        taped(mean_log, optimizer=sgd(learning_rate=0.01)),
        _stale(reset=False),
        _stale(reset=True),
    ),
    # OPTIMIZER_RECREATED
    "a new optimizer every epoch": lambda: Fault(
        Reason.OPTIMIZER_RECREATED,
        signals(),
        fit(optimizer=adam()),
        looped(squared, optimizer=adam(), before_epoch=_new_optimizer),
        looped(squared, optimizer=adam()),
    ),
    # RESUME
    "an optimizer that is not loaded": lambda: Fault(
        Reason.RESUME, signals(), _shuffled_in_two, _reloading(save_optimizer=False), _reloading(save_optimizer=True)
    ),
    # LEARNING_RATE_SCHEDULE
    "a rate that decays": lambda: Fault(
        Reason.LEARNING_RATE_SCHEDULE,
        signals(),
        taped(squared),
        looped(squared, after_update=_decay(0.8)),
        looped(squared, after_update=_decay(1.0)),
    ),
    # WEIGHTS_RESET
    "weights of the first epoch": lambda: Fault(
        Reason.WEIGHTS_RESET, signals(), taped(squared), looped(squared, after_epoch=_restore_first), looped(squared)
    ),
    # WEIGHT_AVERAGING
    "averaged weights that are kept": lambda: Fault(
        Reason.WEIGHT_AVERAGING, signals(), taped(squared), _averaged(keep=True), _averaged(keep=False)
    ),
    # LAYER_STATE
    "momentum of a batch normalization": lambda: Fault(
        Reason.LAYER_STATE,
        (_normalized(), images()[1]),
        fit(SPARSE),
        built(_normalized(momentum=0.5), fit(SPARSE)),
        built(_normalized(), fit(SPARSE)),
    ),
    "a recurrent state that is reset": lambda: Fault(
        Reason.LAYER_STATE, _stateful_problem(), _stateful(reset=False), _stateful(reset=True), _stateful(reset=False)
    ),
    # REPEATED_RANDOMNESS
    "the same noise in every batch": lambda: Fault(
        Reason.REPEATED_RANDOMNESS,
        signals(),
        looped(squared, prepare=_noisy(again=False)),
        looped(squared, prepare=_noisy(again=True)),
        looped(squared, prepare=_noisy(again=False)),
    ),
    # INITIAL_WEIGHTS
    "a wide initializer": lambda: Fault(
        Reason.INITIAL_WEIGHTS, signals(), fit(), built(_wide, fit()), built(signals()[0], fit())
    ),
    # VALIDATION_DATA
    "scaled validation inputs": lambda: Fault(
        Reason.VALIDATION_DATA, _penalized(), _validating(), _validating(scale=0.1), _validating()
    ),
    "validation on the training set": lambda: Fault(
        Reason.VALIDATION_DATA,
        _penalized(),
        fit(),
        _validating(lambda data: replace(data, validation=None)),
        _validating(),
    ),
    # METRIC
    "threshold of a precision": lambda: Fault(Reason.METRIC, reviews(), scored(), scored(0.45), scored()),
    # UNREPORTED_PENALTY
    "a validation loss without the penalty": lambda: Fault(
        Reason.UNREPORTED_PENALTY, _penalized(), fit(), _validating(penalty=0.0), _validating()
    ),
    # SCALED_FIGURE
    "percent": lambda: Fault(Reason.SCALED_FIGURE, _penalized(), fit(), _validating(unit=100.0), _validating()),
    # NON_FINITE
    "a logarithm of nothing": lambda: Fault(
        Reason.NON_FINITE,
        images(activation=None),
        taped(lambda _, z: -tf.reduce_mean(tf.nn.log_softmax(z))),
        taped(lambda _, z: _log_of_nothing(1.0, z)),
        taped(lambda _, z: -tf.reduce_mean(tf.nn.log_softmax(z))),
        (Reason.LOSS_FUNCTION,),
    ),
}
