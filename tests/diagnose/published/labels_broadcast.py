"""Labels (n,) against outputs (n, 1): the difference is a matrix of all pairs, and the model learns the mean."""

import keras
import numpy as np
import tensorflow as tf
from sound_loop import loop

from loopbench_diagnose import Data, compile_and_fit

random = np.random.default_rng(1)
x = random.normal(size=(200, 6)).astype("float32")
data = Data(x, np.tanh(x @ random.normal(size=6)).astype("float32"))


def build_model():
    return keras.Sequential([keras.Input((6,)), keras.layers.Dense(10, activation="relu"), keras.layers.Dense(1)])


def optimizer():
    return keras.optimizers.SGD(0.05)


first = compile_and_fit(optimizer=optimizer, loss="mse")
second = loop(lambda model, x, y, _: tf.reduce_mean((y - model(x, training=True)) ** 2), optimizer)
fixed_second = loop(lambda model, x, y, _: tf.reduce_mean((y[:, None] - model(x, training=True)) ** 2), optimizer)
