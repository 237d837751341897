"""A line through points of unit scale by plain gradient descent."""

from kit import *

r = np.random.default_rng(40)
x = r.normal(0, 1, (400, 3)).astype("float32")
data = split(x, (x @ [[1.5], [-2.0], [0.5]] + 0.7 + r.normal(0, 0.1, (400, 1))).astype("float32"))
score = explained


def build_model():
    return keras.Sequential([keras.Input((3,)), L.Dense(1)])


def loop(model, data, epochs=25):
    model.compile(optimizer=keras.optimizers.SGD(0.05), loss="mse", metrics=["mae"])
    return model.fit(data.x, data.y, epochs=epochs, batch_size=16, verbose=0)
