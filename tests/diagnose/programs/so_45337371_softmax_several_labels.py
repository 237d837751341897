"""A sample can have several labels at once, and a softmax shares one probability among them."""

from kit import *

r = np.random.default_rng(6)
x = r.normal(0, 1, (900, 8)).astype("float32")
y = (np.maximum(x @ r.normal(0, 1, (8, 6)), 0) + r.normal(0, 0.1, (900, 6)) > 0.3).astype("float32")
data = split(x, y)
score = label_accuracy


def built(last):
    return lambda: keras.Sequential(
        [keras.Input((8,)), L.Dense(32, activation="relu"), L.Dense(32, activation="relu"), L.Dense(6, activation=last)]
    )


build_model = built("softmax")
OPTIONS = {"epochs": 20}
faulty = compile_and_fit(
    loss="binary_crossentropy", optimizer=keras.optimizers.Adam(0.005), metrics=["binary_accuracy"]
)
repaired = Side(faulty, build_model=built("sigmoid"))
