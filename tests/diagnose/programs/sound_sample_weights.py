"""Samples count differently, by weights that fit is given."""

from kit import *

x, y = table(900, d=6)
weight = np.random.default_rng(44).uniform(0.5, 1.5, 675).astype("float32")
data = Data(x[:675], y[:675], sample_weight=weight, validation=Data(x[675:], y[675:]))
score = explained


def build_model():
    return keras.Sequential([keras.Input((6,)), L.Dense(32, activation="relu"), L.Dense(1)])


def loop(model, data, epochs=30):
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss="mse")
    held = (data.validation.x, data.validation.y)
    return model.fit(
        data.x, data.y, sample_weight=data.sample_weight, epochs=epochs, batch_size=32, validation_data=held, verbose=0
    )
