"""Unscaled patient data go into a network without a last activation, and binary crossentropy gets its raw output."""

from kit import *

r = np.random.default_rng(1)
age, pressure, sugar = r.normal(45, 12, 800), r.normal(120, 15, 800), r.normal(110, 30, 800)
risk = (age - 45) / 12 + (pressure - 120) / 15 * (sugar - 110) / 30
x = np.stack([age, pressure, sugar], 1).astype("float32")
y = (risk + r.normal(0, 0.2, 800) > 0).astype("float32")[:, None]
data = split(x, y)
scaled = ((x - x.mean(0)) / x.std(0)).astype("float32")
repaired_data = split(scaled, y)
halves_data = [repaired_data, data]
score = accuracy


def built(last):
    return lambda: keras.Sequential(
        [
            keras.Input((3,)),
            L.Dense(24, activation="relu"),
            L.Dense(12, activation="relu"),
            L.Dense(1, activation=last),
        ]
    )


build_model = built(None)


def faulty(model, data, epochs=25):
    model.compile(loss="binary_crossentropy", optimizer=keras.optimizers.Adam(0.01), metrics=["accuracy"])
    return model.fit(data.x, data.y, epochs=epochs, batch_size=32, verbose=0)


repaired = Side(faulty, build_model=built("sigmoid"))
halves = [faulty, repaired]
