"""Salaries and years in their own units go into a classifier with a rate that is low for them."""

from kit import *

r = np.random.default_rng(3)
y = r.integers(0, 3, 900)
years, salary = r.normal(5 + 4 * y, 2), r.normal(60000 - 9000 * (y == 1), 4000)
x = np.stack([salary, years, r.normal(0, 1, 900)], 1).astype("float32")
data = split(x, onehot(y, 3))
repaired_data = split(((x - x.mean(0)) / x.std(0)).astype("float32"), onehot(y, 3))
score = accuracy


def build_model():
    return keras.Sequential(
        [
            keras.Input((3,)),
            L.Dense(12, activation="relu"),
            L.Dense(12, activation="relu"),
            L.Dense(3, activation="softmax"),
        ]
    )


def faulty(model, data, epochs=20):
    model.compile(loss="categorical_crossentropy", optimizer=keras.optimizers.Adam(0.005), metrics=["accuracy"])
    held = (data.validation.x, data.validation.y)
    return model.fit(data.x, data.y, epochs=epochs, batch_size=25, validation_data=held, verbose=0)


repaired = faulty
