"""Changed copies of models of several shapes."""

from typing import Any

import keras
import numpy as np
import pytest

from loopbench_diagnose.program import surgery
from loopbench_diagnose.program.surgery import RECTIFIERS, SATURATING, activation_of, anatomy, changed

L = keras.layers
X = np.random.default_rng(2).normal(size=(3, 4)).astype("float32")
STEPS = np.random.default_rng(3).normal(size=(3, 5, 4)).astype("float32")


class Subclass(keras.Model):  # type: ignore[misc]
    """Layers in an attribute each, called by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.drop, self.last = L.Dense(3, activation="tanh"), L.Dropout(0.5), L.Dense(2)

    def call(self, x: Any, training: bool = False) -> Any:
        return keras.ops.softmax(self.last(self.drop(self.first(x), training=training)))


def in_one_layer() -> keras.Model:
    return keras.Sequential([keras.Input((4,)), L.Dense(6, activation="relu"), L.Dense(3, activation="softmax")])


def in_two_layers() -> keras.Model:
    parts = [keras.Input((4,)), L.Dense(6), L.ReLU(), L.Dropout(0.5), L.Dense(3), L.Activation("sigmoid")]
    return keras.Sequential([*parts, L.Softmax()])


def functional() -> keras.Model:
    inputs = keras.Input((4,))
    both = L.Concatenate()([L.Dense(2, activation="tanh")(inputs), inputs])
    return keras.Model(inputs, L.Dense(1, activation="relu")(both))


def of_steps() -> keras.Model:
    return keras.Sequential(
        [keras.Input((5, 4)), L.LSTM(3, return_sequences=True), L.TimeDistributed(L.Dense(2, activation="softmax"))]
    )


@pytest.mark.parametrize(
    ("build_model", "x", "output", "hidden"),
    [
        (in_one_layer, X, "softmax", ["relu"]),
        (in_two_layers, X, "sigmoid+softmax", ["linear", "relu"]),
        (functional, X, "relu", ["tanh"]),
        (of_steps, STEPS, "softmax", []),
        # Its function behind the last layer cannot be seen: nothing is claimed of its outputs.
        (Subclass, X, None, ["tanh", "linear"]),
    ],
)
def test_the_parts_of_a_model_are_found(build_model: Any, x: Any, output: str | None, hidden: list[str]) -> None:
    parts = anatomy(build_model(), x)
    assert (parts.output, [activation_of(layer) for layer in parts.hidden]) == (output, hidden)


@pytest.mark.parametrize(
    ("build_model", "x"), [(in_one_layer, X), (in_two_layers, X), (functional, X), (of_steps, STEPS)]
)
def test_another_activation_is_that_of_the_last_weighted_sum(build_model: Any, x: Any) -> None:
    keras.utils.set_random_seed(1)
    plain = changed(build_model, x, surgery.output("linear"))()
    keras.utils.set_random_seed(1)
    made = changed(build_model, x, surgery.output("sigmoid"))()
    np.testing.assert_allclose(np.asarray(made(x)), 1 / (1 + np.exp(-np.asarray(plain(x)))), rtol=1e-5)


def test_hidden_activations_are_replaced_where_they_are_meant() -> None:
    model = changed(in_two_layers, X, surgery.hidden("leaky_relu", RECTIFIERS))()
    assert [activation_of(layer) for layer in anatomy(model, X).hidden] == ["linear", "relu"]
    values = {type(layer).__name__: made for layer, made in surgery.values_of(model, X)}
    assert (values["ReLU"] < 0).any()
    model = changed(functional, X, surgery.hidden("relu", SATURATING))()
    assert [activation_of(layer) for layer in anatomy(model, X).hidden] == ["relu"]


def test_an_activation_goes_between_layers_that_have_none() -> None:
    def linear() -> keras.Model:
        parts = [L.Dense(5), L.Dropout(0.1), L.Dense(4), L.Dense(3, activation="relu"), L.Dense(2)]
        return keras.Sequential([keras.Input((4,)), *parts])

    model = changed(linear, X, surgery.between("relu"))()
    found = [activation_of(layer) for layer in model.layers if isinstance(layer, L.Dense)]
    assert found == ["relu", "relu", "relu", "linear"]
    assert anatomy(in_two_layers(), X).linear_chains() == []


def test_dropout_and_penalties_go() -> None:
    def build() -> keras.Model:
        penalty = keras.regularizers.L2(0.1)
        return keras.Sequential(
            [keras.Input((4,)), L.Dense(50, kernel_regularizer=penalty, activity_regularizer=penalty), L.Dropout(0.9)]
        )

    model = changed(build, X, surgery.without_dropout, surgery.without_penalty)()
    np.testing.assert_array_equal(np.asarray(model(X, training=True)), np.asarray(model(X, training=False)))
    assert model.losses == []


def test_weights_start_as_by_default() -> None:
    def zeros() -> keras.Model:
        return keras.Sequential(
            [keras.Input((4,)), L.Dense(300, "relu", kernel_initializer="zeros", bias_initializer="ones")]
        )

    kernel, bias = changed(zeros, X, surgery.reinitialized)().get_weights()
    # Glorot's deviation: the square root of 2 / (4 + 300).
    assert kernel.std() == pytest.approx(np.sqrt(2 / 304), rel=0.1)
    assert not bias.any()


def test_the_number_of_outputs_changes() -> None:
    model = changed(in_two_layers, X, surgery.units(7), surgery.output("softmax"))()
    assert model(X).shape == (3, 7)
    np.testing.assert_allclose(np.asarray(model(X)).sum(axis=1), 1, rtol=1e-5)


def test_recurrent_layers_take_another_activation() -> None:
    model = changed(of_steps, STEPS, surgery.recurrent("relu"))()
    assert activation_of(model.layers[0]) == "relu"
