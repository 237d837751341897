"""Degrees are converted by one weight with a rate that needs thousands of epochs, and the metric is the accuracy."""

from kit import *

r = np.random.default_rng(14)
celsius = r.uniform(-4, 4, (300, 1)).astype("float32")
data = split(celsius, (1.8 * celsius + 3.2).astype("float32"))
score = explained


def build_model():
    return keras.Sequential([keras.Input((1,)), L.Dense(1)])


def loop(rate, metric):
    def train(model, data, epochs=20):
        model.compile(optimizer=keras.optimizers.RMSprop(rate), loss="mean_squared_error", metrics=[metric])
        held = (data.validation.x, data.validation.y)
        return model.fit(data.x, data.y, epochs=epochs, batch_size=16, validation_data=held, verbose=0)

    return train


faulty, repaired = loop(0.0001, "accuracy"), loop(0.05, "mae")
halves = [loop(0.0001, "mae")]
