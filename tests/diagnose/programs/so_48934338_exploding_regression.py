"""A line through points from 0 to 50 is fitted by gradient descent with a rate of 0.1, and the loss becomes NaN."""

from kit import *

r = np.random.default_rng(2)
x = r.uniform(0, 50, (400, 1)).astype("float32")
data = split(x, (3 * x + 10 + r.normal(0, 1, (400, 1))).astype("float32"))
score = explained


def build_model():
    return keras.Sequential([keras.Input((1,)), L.Dense(1)])


def loop(rate):
    def train(model, data, epochs=60):
        model.compile(loss="mean_squared_error", optimizer=keras.optimizers.SGD(rate))
        return model.fit(data.x, data.y, epochs=epochs, batch_size=32, verbose=0)

    return train


faulty, repaired = loop(0.1), loop(0.0005)
