"""A program alone: what it amounts to as stock training, and what it does otherwise."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from loopbench_diagnose import Data, DiagnoseCallback, NoUpdateError, ReusedObjectError, Side, diagnose
from loopbench_diagnose.diagnosis import Diagnosis

RANDOM = np.random.default_rng(3)
CENTRES = np.array([[2, 0], [-2, 1], [0, -2]])


def blobs(count: int) -> tuple[Any, Any]:
    labels = RANDOM.integers(0, 3, count)
    return (CENTRES[labels] + RANDOM.normal(0, 0.7, (count, 2))).astype("float32"), labels


TRAINING, VALIDATION = blobs(200), blobs(60)
DATA = Data(*TRAINING, validation=Data(*VALIDATION))
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def build_model() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((2,)),
            keras.layers.Dense(8, activation="relu"),
            keras.layers.Dropout(0.2),
            keras.layers.Dense(3),
        ]
    )


def fit(model: keras.Model, data: Any, epochs: int = 4) -> Any:
    model.compile(optimizer=keras.optimizers.Adam(0.02), loss=LOSS, metrics=["accuracy"])
    validation = (data.validation.x, data.validation.y)
    return model.fit(data.x, data.y, batch_size=25, epochs=epochs, validation_data=validation, verbose=0)


def of_logits(labels: Any, outputs: Any) -> Any:
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, outputs)


def tape(
    *,
    training: bool = True,
    loss_of: Callable[[Any, Any], Any] = of_logits,
    reduce: Callable[[Any], Any] = tf.reduce_mean,
    rate: Any = 0.1,
    by_hand: bool = False,
) -> Callable[..., None]:
    def loop(model: keras.Model, data: Any, epochs: int = 4) -> None:
        optimizer = keras.optimizers.SGD(rate)
        for _ in range(epochs):
            order = np.random.permutation(len(data.x))  # noqa: NPY002  as people write it
            for start in range(0, len(order), 25):
                rows = order[start : start + 25]
                with tf.GradientTape() as recorded:
                    outputs = model(data.x[rows], training=training)
                    loss = reduce(loss_of(data.y[rows], outputs))
                gradients = recorded.gradient(loss, model.trainable_variables)
                if by_hand:
                    for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
                        variable.assign_sub(rate * gradient)
                else:
                    optimizer.apply(gradients, model.trainable_variables)

    return loop


def decides_itself(model: keras.Model, data: Any) -> None:
    tape()(model, data, 4)


def recompiles(model: keras.Model, data: Any, epochs: int) -> None:
    for _ in range(epochs):
        model.compile(optimizer=keras.optimizers.Adam(0.02), loss=LOSS)
        model.fit(data.x, data.y, batch_size=25, epochs=1, verbose=0)


def reasons(diagnosis: Diagnosis) -> list[str]:
    return [cause.reason for cause in diagnosis.causes]


def test_compile_and_fit_is_not_compared_with_itself() -> None:
    diagnosis = diagnose(build_model, DATA, fit)
    assert diagnosis.configuration == (
        "model.compile(\n"
        "    optimizer=keras.optimizers.Adam(learning_rate=0.02),\n"
        "    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),\n"
        "    metrics=['accuracy'],\n"
        ")\n"
        "model.fit(x=x, y=y, batch_size=25, epochs=4)\n"
    )
    assert diagnosis.causes == ()
    assert any("not compared with itself" in note for note in diagnosis.notes)
    assert str(diagnosis).startswith("No fault was found in the program.")


@pytest.mark.parametrize("loop", [tape(), tape(by_hand=True), decides_itself], ids=["optimizer", "by hand", "epochs"])
def test_a_loop_by_hand_amounts_to_stock_training(loop: Any) -> None:
    diagnosis = diagnose(build_model, DATA, loop, epochs=4)
    assert diagnosis.causes == ()
    assert diagnosis.configuration == (
        "model.compile(\n"
        "    optimizer=keras.optimizers.SGD(learning_rate=0.1),\n"
        "    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),\n"
        ")\n"
        "model.fit(x=x, y=y, batch_size=25, epochs=4)\n"
    )


@pytest.mark.parametrize(
    ("loop", "expected"),
    [
        (tape(training=False), "TRAINING_FLAG"),
        (tape(loss_of=lambda y, outputs: LOSS(y, tf.nn.softmax(outputs))), "FROM_LOGITS"),
        (tape(reduce=tf.reduce_sum, rate=3.0), "LOSS_REDUCTION"),
        pytest.param(recompiles, "OPTIMIZER_RECREATED", marks=pytest.mark.slow),
    ],
)
def test_faults_against_stock_training(loop: Any, expected: str) -> None:
    diagnosis = diagnose(build_model, DATA, loop)
    assert expected in reasons(diagnosis)
    # No text speaks of two sides.
    assert " side" not in diagnosis.describe(verbose=True)


def test_a_schedule_over_the_epochs_is_no_difference() -> None:
    """The replays have fewer epochs than the program."""

    def loop(model: keras.Model, data: Any, epochs: int = 12) -> None:
        tape(rate=keras.optimizers.schedules.CosineDecay(0.5, 8 * epochs))(model, data, epochs)

    diagnosis = diagnose(build_model, DATA, loop)
    assert reasons(diagnosis) == []
    assert diagnosis.notes == ()
    assert "decay_steps=96" in str(diagnosis.configuration)


def test_a_sum_that_trains_well_is_a_note() -> None:
    diagnosis = diagnose(build_model, DATA, tape(reduce=tf.reduce_sum, rate=0.004))
    assert reasons(diagnosis) == []
    assert any("25 times that of stock training" in note for note in diagnosis.notes)


def test_a_side_has_its_own_model() -> None:
    def no_model() -> keras.Model:
        raise AssertionError("the side has a factory")

    diagnosis = diagnose(no_model, DATA, Side(fit, build_model=build_model))
    assert "batch_size=25" in diagnosis.configuration


def fit_set(model: keras.Model, data: Any, epochs: int) -> None:
    model.compile(optimizer="sgd", loss=LOSS)
    model.fit(data, epochs=epochs, shuffle=False, verbose=0)


def fit_pair(model: keras.Model, data: Any, epochs: int) -> None:
    model.compile(optimizer="sgd", loss=LOSS)
    model.fit(*data, batch_size=20, epochs=epochs, verbose=0)


class Batches(keras.utils.PyDataset):  # type: ignore[misc]  # Keras has no types
    def __len__(self) -> int:
        return 10

    def __getitem__(self, index: int) -> Any:
        rows = slice(20 * index, 20 * (index + 1))
        return TRAINING[0][rows], TRAINING[1][rows]


@pytest.mark.parametrize(
    ("data", "loop", "shuffles"),
    [
        (tf.data.Dataset.from_tensor_slices(TRAINING).batch(20), fit_set, False),
        (tf.data.Dataset.from_tensor_slices(TRAINING).shuffle(200).batch(20), fit_set, True),
        (lambda: TRAINING, fit_pair, True),
        (Batches(), fit_set, False),
    ],
    ids=["dataset", "shuffled dataset", "function", "PyDataset"],
)
def test_data_of_every_kind(data: Any, loop: Any, shuffles: bool) -> None:
    code = diagnose(build_model, data, loop, epochs=2).configuration
    assert code.endswith(f"model.fit(x=x, y=y, batch_size=20, epochs=2{'' if shuffles else ', shuffle=False'})\n")


def test_a_generator_is_watched() -> None:
    def batches(data: Any) -> Any:
        while True:
            for start in range(0, 100, 20):
                yield data.x[start : start + 20], data.y[start : start + 20]

    def loop(model: keras.Model, data: Any, epochs: int) -> None:
        model.compile(optimizer="sgd", loss=LOSS)
        model.fit(batches(data), steps_per_epoch=5, epochs=epochs, shuffle=False, verbose=0)

    code = diagnose(build_model, DATA, loop, epochs=2).configuration
    assert code.endswith("model.fit(x=x, y=y, batch_size=20, epochs=2, shuffle=False)\n")


def test_a_model_around_the_given_one_is_not_recovered() -> None:
    def loop(model: keras.Model, data: Any, epochs: int) -> None:
        whole = keras.Sequential([model, keras.layers.Softmax()])
        whole.compile(optimizer="sgd", loss="sparse_categorical_crossentropy")
        whole.fit(data.x, data.y, epochs=epochs, verbose=0)

    diagnosis = diagnose(build_model, DATA, loop)
    assert diagnosis.configuration == ""
    assert any("a model that the loop builds around the given one" in stated for stated in diagnosis.not_tested)


def test_an_optimizer_of_the_run_before_is_refused() -> None:
    optimizer = keras.optimizers.SGD(0.1)

    def loop(model: keras.Model, data: Any, epochs: int) -> None:
        model.compile(optimizer=optimizer, loss=LOSS)
        model.fit(data.x, data.y, epochs=epochs, verbose=0)

    with pytest.raises(ReusedObjectError, match="the loop uses an optimizer"):
        diagnose(build_model, DATA, loop)


def test_a_loop_that_scales_every_column() -> None:
    mean, size = DATA.x.mean(axis=0), DATA.x.std(axis=0)
    hot = np.eye(3, dtype="float32")

    def loop(model: keras.Model, data: Any, epochs: int = 3) -> Any:
        optimizer = keras.optimizers.SGD(0.1)
        for _ in range(epochs):
            order = np.random.permutation(len(data.x))  # noqa: NPY002  as people write it
            for rows in np.array_split(order, range(10, len(order), 10)):
                with tf.GradientTape() as recorded:
                    outputs = model((data.x[rows] - mean) / size, training=True)
                    loss = tf.reduce_mean((hot[data.y[rows]] - outputs) ** 2)
                optimizer.apply(recorded.gradient(loss, model.trainable_variables), model.trainable_variables)
        outputs = model((data.validation.x - mean) / size, training=False)
        return {"val_loss": float(tf.reduce_mean((hot[data.validation.y] - outputs) ** 2))}

    diagnosis = diagnose(build_model, DATA, loop)
    assert "loss=keras.losses.MeanSquaredError()" in diagnosis.configuration
    assert diagnosis.configuration.endswith("model.fit(x=x, y=y, batch_size=10, epochs=3)\n")
    assert not [stated for stated in diagnosis.not_tested if "left out" in stated]
    assert diagnosis.causes == ()


def test_a_penalty_by_hand_is_a_note_where_the_model_has_none() -> None:
    def loop(model: keras.Model, data: Any, epochs: int = 3) -> None:
        optimizer = keras.optimizers.SGD(0.1)
        for start in [start for _ in range(epochs) for start in range(0, len(data.x), 20)]:
            rows = slice(start, start + 20)
            with tf.GradientTape() as recorded:
                penalty = 0.01 * tf.add_n([tf.nn.l2_loss(variable) for variable in model.trainable_variables])
                loss = tf.reduce_mean(of_logits(data.y[rows], model(data.x[rows], training=True))) + penalty
            optimizer.apply(recorded.gradient(loss, model.trainable_variables), model.trainable_variables)

    diagnosis = diagnose(build_model, DATA, loop)
    assert diagnosis.causes == ()
    assert [note for note in diagnosis.notes if "(an L2 penalty)" in note]


def test_what_cannot_be_recovered_is_said() -> None:
    def loop(model: keras.Model, data: Any, epochs: int) -> None:
        optimizer = keras.optimizers.SGD(0.1)
        for _ in range(epochs):
            with tf.GradientTape() as recorded:
                loss = tf.reduce_mean(tf.abs(model(data.x, training=True)) ** 1.7)
            optimizer.apply(recorded.gradient(loss, model.trainable_variables), model.trainable_variables)

    diagnosis = diagnose(build_model, DATA, loop)
    assert diagnosis.configuration == ""
    assert any("the gradient of the outputs fits no known loss" in sentence for sentence in diagnosis.not_tested)


def test_a_loop_without_a_gradient_is_refused() -> None:
    def loop(model: keras.Model, data: Any, epochs: int) -> None:
        """Does nothing."""

    with pytest.raises(NoUpdateError, match="took no gradient"):
        diagnose(build_model, DATA, loop)


@pytest.mark.parametrize("is_set", [False, True])
def test_a_callback_diagnoses_the_fit_that_it_is_given_to(is_set: bool, capsys: pytest.CaptureFixture[str]) -> None:
    callback, model = DiagnoseCallback(), build_model()
    model.compile(optimizer=keras.optimizers.Adam(0.02), loss=LOSS)
    if is_set:
        batches = tf.data.Dataset.from_tensor_slices(TRAINING).batch(20)
        model.fit(batches, shuffle=False, epochs=2, verbose=0, callbacks=[callback])
    else:
        model.fit(*TRAINING, batch_size=20, shuffle=False, epochs=2, verbose=0, callbacks=[callback])
    assert callback.diagnosis is not None
    assert callback.diagnosis.configuration.endswith("model.fit(x=x, y=y, batch_size=20, epochs=2, shuffle=False)\n")
    assert capsys.readouterr().out.strip() == callback.diagnosis.describe()


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_a_callback_states_the_rate_of_the_start() -> None:
    callback, model = DiagnoseCallback(show=False), build_model()
    model.compile(optimizer=keras.optimizers.Adam(0.02), loss=LOSS)
    halving = keras.callbacks.LearningRateScheduler(lambda epoch: 0.02 * 0.5**epoch)
    model.fit(*TRAINING, batch_size=20, epochs=3, verbose=0, callbacks=[callback, halving])
    assert callback.diagnosis is not None
    assert "optimizer=keras.optimizers.Adam(learning_rate=0.02)," in callback.diagnosis.configuration


def test_a_callback_leaves_the_training_as_it_is() -> None:
    weights = []
    for callbacks in ([], [DiagnoseCallback(show=False)]):
        keras.utils.set_random_seed(1)
        model = build_model()
        model.compile(optimizer="adam", loss=LOSS)
        model.fit(*TRAINING, epochs=2, verbose=0, callbacks=callbacks)
        weights.append(model.get_weights())
    assert all(np.array_equal(one, other) for one, other in zip(*weights, strict=True))


def test_a_callback_without_fit_warns() -> None:
    callback, model = DiagnoseCallback(), build_model()
    model.compile(optimizer="adam", loss=LOSS)
    callback.set_model(model)
    callback.on_train_begin()
    with pytest.warns(UserWarning, match=r"the training is not Model\.fit"):
        callback.on_train_end()
    assert callback.diagnosis is None


def test_an_optimizer_that_is_created_at_every_step_is_found() -> None:
    def loop(model: keras.Model, data: Any, epochs: int = 4) -> None:
        for _ in range(epochs):
            for start in range(0, len(data.x), 25):
                optimizer = keras.optimizers.SGD(0.01, momentum=0.9)
                rows = slice(start, start + 25)
                with tf.GradientTape() as recorded:
                    loss = LOSS(data.y[rows], model(data.x[rows], training=True))
                gradients = recorded.gradient(loss, model.trainable_variables)
                optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))

    diagnosis = diagnose(build_model, DATA, loop)
    assert "OPTIMIZER_RECREATED" in [cause.reason for cause in diagnosis.causes]
    assert "keras.optimizers.SGD(momentum=0.9)" in diagnosis.configuration


def test_the_threshold_of_outputs_of_the_wrong_range_is_no_cause() -> None:
    def loop(model: keras.Model, data: Any, epochs: int = 30) -> dict[str, float]:
        optimizer, loss, metric = (
            keras.optimizers.Adam(0.02),
            keras.losses.BinaryCrossentropy(),
            keras.metrics.BinaryAccuracy(),
        )
        for _ in range(epochs):
            metric.reset_state()
            for start in range(0, len(data.x), 25):
                rows = slice(start, start + 25)
                with tf.GradientTape() as recorded:
                    outputs = model(data.x[rows], training=True)
                    value = loss(data.y[rows, None], outputs)
                gradients = recorded.gradient(value, model.trainable_variables)
                optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
                metric.update_state(data.y[rows, None], outputs)
        return {"accuracy": float(metric.result())}

    def binary() -> keras.Model:
        parts = [keras.layers.Dense(8, activation="relu"), keras.layers.Dense(1, activation="tanh")]
        return keras.Sequential([keras.Input((2,)), *parts])

    diagnosis = diagnose(binary, Data(TRAINING[0], (TRAINING[1] > 0).astype("float32")), loop)
    assert [cause.reason for cause in diagnosis.causes] == ["OUTPUT_ACTIVATION"]


def test_a_loss_that_is_scaled_and_clipped_by_hand() -> None:
    """Stock training is given no clip, but the scale is in neither."""

    def train(model: keras.Model, data: Any, epochs: int = 4) -> None:
        optimizer, scale = keras.optimizers.SGD(0.05), 2.0**12
        for _ in range(epochs):
            for x, y in tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(200).batch(20):
                with tf.GradientTape() as tape:
                    loss = scale * LOSS(y, model(x, training=True))
                gradients = [one / scale for one in tape.gradient(loss, model.trainable_variables)]
                clipped, _ = tf.clip_by_global_norm(gradients, 0.01)
                optimizer.apply_gradients(zip(clipped, model.trainable_variables, strict=True))

    notes = [note for note in diagnose(build_model, DATA, train).notes if note.startswith("Unlike stock training")]
    (note,) = notes
    assert "the loop global_clipnorm 0.01 by hand" in note
