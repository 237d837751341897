"""Three quantiles of a target by the pinball loss."""

from kit import *

x, y = table(1000, d=4, noise=0.3)
data = split(x, y)
QUANTILES = np.array([0.1, 0.5, 0.9], "float32")


def build_model():
    return keras.Sequential([keras.Input((4,)), L.Dense(32, activation="relu"), L.Dense(3)])


def pinball(y, found):
    gap = y - found
    return keras.ops.mean(keras.ops.maximum(QUANTILES * gap, (QUANTILES - 1) * gap), -1)


def loop(model, data, epochs=25):
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss=pinball)
    return model.fit(data.x, data.y, epochs=epochs, batch_size=32, verbose=0)


def score(model, data):
    found = model.predict(data.validation.x, verbose=0)[:, 1:2]
    return float(1 - np.var(data.validation.y - found) / np.var(data.validation.y))
