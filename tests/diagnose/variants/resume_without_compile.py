"""The model goes to a .keras file after an epoch and comes back by load_model(compile=False) with a new optimizer; the repaired side loads it whole."""

import os
import tempfile

from kit import *

data = Data(*images(110))


def build_model():
    return keras.Sequential(
        [keras.Input((8, 8, 1)), L.Conv2D(3, 3, activation="relu"), L.Flatten(), L.Dense(3, activation="softmax")]
    )


def fit(how):
    def run(model, data, epochs):
        prepare = lambda m: m.compile(optimizer=keras.optimizers.Adam(0.005), loss="sparse_categorical_crossentropy")
        prepare(model)
        h = model.fit(data.x, data.y, epochs=1, batch_size=22, verbose=0)
        if epochs > 1 and how:
            with tempfile.TemporaryDirectory() as d:
                f = os.path.join(d, "half.keras")
                model.save(f)
                loaded = keras.models.load_model(f, compile=how == "whole")
            if how != "whole":
                prepare(loaded)
            h = loaded.fit(data.x, data.y, epochs=epochs - 1, batch_size=22, verbose=0)
            model.set_weights(loaded.get_weights())
        elif epochs > 1:
            h = model.fit(data.x, data.y, epochs=epochs - 1, batch_size=22, verbose=0)
        return h

    return run


first, second, fixed_second = fit(""), fit("weights"), fit("whole")
