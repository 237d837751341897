"""A network of three dense layers has no activations between them and is no more than a line."""

from kit import *

data = split(*rings(800))
score = accuracy


def built(inner):
    return lambda: keras.Sequential(
        [
            keras.Input((2,)),
            L.Dense(24, activation=inner),
            L.Dense(24, activation=inner),
            L.Dense(1, activation="sigmoid"),
        ]
    )


build_model = built(None)
OPTIONS = {"epochs": 20}
faulty = compile_and_fit(optimizer=keras.optimizers.Adam(0.01), loss="binary_crossentropy", metrics=["accuracy"])
repaired = Side(faulty, build_model=built("relu"))
