"""Adam has a rate of 0.00001 on sentences of word numbers, and the accuracy stays that of guessing."""

from kit import *

data = split(*sentences(800))
score = accuracy


def build_model():
    return keras.Sequential(
        [
            keras.Input((10,)),
            L.Embedding(30, 12),
            L.Flatten(),
            L.Dense(24, activation="relu"),
            L.Dense(1, activation="sigmoid"),
        ]
    )


def loop(rate):
    return compile_and_fit(
        optimizer=keras.optimizers.Adam(rate), loss="binary_crossentropy", metrics=["accuracy"], batch_size=16
    )


OPTIONS = {"epochs": 12}
faulty, repaired = loop(0.00001), loop(0.01)
