"""After the first epoch: save_weights, a new Adam, load_weights. The moments are lost."""

import os
import tempfile

from kit import *

data = Data(*groups(120))


def build_model():
    return keras.Sequential([keras.Input((6,)), L.Dense(10, activation="selu"), L.Dense(3, activation="softmax")])


def fit(resumed):
    def run(model, data, epochs):
        again = lambda: model.compile(optimizer=keras.optimizers.Adam(0.02), loss="sparse_categorical_crossentropy")
        again()
        h = model.fit(data.x, data.y, epochs=1, batch_size=20, verbose=0)
        if resumed:
            with tempfile.TemporaryDirectory() as d:
                f = os.path.join(d, "run.weights.h5")
                model.save_weights(f)
                again()
                model.load_weights(f)
        if epochs > 1:
            h = model.fit(data.x, data.y, epochs=epochs, initial_epoch=1, batch_size=20, verbose=0)
        return h

    return run


first, second = fit(False), fit(True)
fixed_second = compile_and_fit(
    optimizer=keras.optimizers.Adam(0.02), loss="sparse_categorical_crossentropy", batch_size=20
)
