"""Counts are predicted through an exponential with the Poisson loss."""

from kit import *

r = np.random.default_rng(48)
x = r.normal(0, 1, (1200, 4)).astype("float32")
data = split(x, r.poisson(np.exp(1.5 + x[:, :1] - 0.5 * x[:, 1:2])).astype("float32"))
score = explained


def build_model():
    return keras.Sequential([keras.Input((4,)), L.Dense(16, activation="tanh"), L.Dense(1, activation="exponential")])


def loop(model, data, epochs=25):
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss="poisson")
    return model.fit(data.x, data.y, epochs=epochs, batch_size=32, verbose=0)
