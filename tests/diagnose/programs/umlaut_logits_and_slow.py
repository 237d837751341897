"""The loss takes raw outputs for probabilities, and Adam has a rate of 0.000001 (two of the study's planted bugs)."""

from kit import *

x, y = bright_shapes(600)
data = split(x / 255, y)
score = accuracy


def build_model():
    return keras.Sequential(
        [
            keras.Input((10, 10, 3)),
            L.Conv2D(8, 3, activation="relu"),
            L.MaxPooling2D(2),
            L.Flatten(),
            L.Dense(24, activation="relu"),
            L.Dense(4),
        ]
    )


def loop(from_logits, rate):
    def train(model, data, epochs=12):
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=from_logits)
        model.compile(optimizer=keras.optimizers.Adam(rate), loss=loss, metrics=["accuracy"])
        return model.fit(data.x, data.y, epochs=epochs, batch_size=32, verbose=0)

    return train


faulty, repaired = loop(False, 1e-6), loop(True, 0.003)
halves = [loop(False, 0.003), loop(True, 1e-6)]
