"""Labels of -1 and 1 with a tanh output and the hinge loss."""

from kit import *

x, y = rings(800)
data = split(x, 2 * y - 1)


def build_model():
    return keras.Sequential([keras.Input((2,)), L.Dense(24, activation="relu"), L.Dense(1, activation="tanh")])


def loop(model, data, epochs=20):
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss="hinge")
    return model.fit(data.x, data.y, epochs=epochs, batch_size=32, verbose=0)


def score(model, data):
    return float(np.mean((model.predict(data.validation.x, verbose=0) > 0) == (data.validation.y > 0)))
