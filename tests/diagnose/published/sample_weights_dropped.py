"""Sample weights are handed to fit; the loop's loss is called without them."""

import keras
import numpy as np
from sound_loop import loop

from loopbench_diagnose import Data, compile_and_fit

random = np.random.default_rng(3)
x = random.normal(size=(200, 12, 3)).astype("float32")
y = (x[:, :, 0].sum(axis=1, keepdims=True) > 0).astype("float32")
data = Data(x, y, sample_weight=np.where(y[:, 0] == 1, 3.0, 0.5).astype("float32"))
crossentropy = keras.losses.BinaryCrossentropy()


def build_model():
    return keras.Sequential([keras.Input((12, 3)), keras.layers.GRU(6), keras.layers.Dense(1, activation="sigmoid")])


def optimizer():
    return keras.optimizers.Adam(0.01)


first = compile_and_fit(optimizer=optimizer, loss=crossentropy)
second = loop(lambda model, x, y, _: crossentropy(y, model(x, training=True)), optimizer)
fixed_second = loop(lambda model, x, y, weight: crossentropy(y, model(x, training=True), weight), optimizer)
