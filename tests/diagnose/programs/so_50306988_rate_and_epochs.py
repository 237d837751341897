"""Adam has a tenth of the rate that three epochs of sorting blobs into classes would need."""

from kit import *

data = split(*blobs(900, classes=5, d=10, spread=1.2))
score = accuracy


def build_model():
    return keras.Sequential(
        [
            keras.Input((10,)),
            L.Dense(24, activation="relu"),
            L.Dense(12, activation="relu"),
            L.Dense(5, activation="softmax"),
        ]
    )


def loop(rate):
    return compile_and_fit(
        optimizer=keras.optimizers.Adam(learning_rate=rate),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )


OPTIONS = {"epochs": 5}
faulty, repaired = loop(0.0001), loop(0.01)
