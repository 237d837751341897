"""A sigmoid unit for two classes is trained with categorical crossentropy, which is 0 for a single output."""

from kit import *

x, y = sentences(700)
data = split(x, y)
score = accuracy


def build_model():
    return keras.Sequential(
        [
            keras.Input((10,)),
            L.Embedding(30, 8),
            L.GlobalAveragePooling1D(),
            L.Dense(16, activation="relu"),
            L.Dense(1, activation="sigmoid"),
        ]
    )


def loop(loss):
    return compile_and_fit(optimizer=keras.optimizers.Adam(0.01), loss=loss, metrics=["accuracy"])


OPTIONS = {"epochs": 12}
faulty, repaired = loop("categorical_crossentropy"), loop("binary_crossentropy")
