"""Sequences of numbers are added up by a recurrent network, a regression on counts."""

from kit import *

r = np.random.default_rng(47)
x = r.uniform(0, 1, (900, 8, 1)).astype("float32")
y = x.sum(1)
data = split(x, (y - 4).astype("float32"))
score = explained


def build_model():
    return keras.Sequential([keras.Input((8, 1)), L.GRU(16), L.Dense(1)])


def loop(model, data, epochs=15):
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss="mse")
    held = (data.validation.x, data.validation.y)
    return model.fit(data.x, data.y, epochs=epochs, batch_size=32, validation_data=held, verbose=0)
