"""A network is to learn squares of numbers up to 100 and gets both the numbers and their squares as they are."""

from kit import *

r = np.random.default_rng(5)
x = r.uniform(-100, 100, (800, 1)).astype("float32")
y = x**2 + r.normal(0, 50, x.shape).astype("float32")
data = split(x, y)
repaired_data = split(x / x.std(), (y - y.mean()) / y.std())
score = explained


def build_model():
    return keras.Sequential(
        [keras.Input((1,)), L.Dense(20, activation="sigmoid"), L.Dense(20, activation="relu"), L.Dense(1)]
    )


def faulty(model, data, epochs=40):
    model.compile(loss="mean_squared_error", optimizer=keras.optimizers.Adam(0.01))
    return model.fit(data.x, data.y, epochs=epochs, batch_size=32, verbose=0)


repaired = faulty
