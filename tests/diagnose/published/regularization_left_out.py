"""Penalties of layers are in the loss of fit; a loop has to add model.losses itself."""

import keras
import numpy as np
from sound_loop import loop

from loopbench_diagnose import Data, compile_and_fit

random = np.random.default_rng(2)
x = random.normal(size=(200, 8, 8, 1)).astype("float32")
data = Data(x, (x.mean(axis=(1, 2, 3)) > 0).astype("int64"))
crossentropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def build_model():
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(4, 3, activation="relu", kernel_regularizer=keras.regularizers.L2(0.02)),
            keras.layers.Flatten(),
            keras.layers.Dense(2, kernel_regularizer=keras.regularizers.L2(0.02)),
        ]
    )


def optimizer():
    return keras.optimizers.SGD(0.05)


first = compile_and_fit(optimizer=optimizer, loss=crossentropy)
second = loop(lambda model, x, y, _: crossentropy(y, model(x, training=True)), optimizer)
fixed_second = loop(lambda model, x, y, _: crossentropy(y, model(x, training=True)) + sum(model.losses), optimizer)
