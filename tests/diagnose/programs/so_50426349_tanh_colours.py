"""Colours from 0 to 255 are predicted from grey pictures through a tanh, which stays below 1."""

from kit import *

x, _ = digits(500)
grey = x
colour = np.concatenate([255 * x, 120 - 100 * x], -1)
data = split(grey, colour.astype("float32"))
repaired_data = split(grey, (colour / 128 - 1).astype("float32"))
score = explained


def build_model():
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            L.Conv2D(12, 3, activation="relu", padding="same"),
            L.Conv2D(8, 3, activation="relu", padding="same"),
            L.Conv2D(2, 3, activation="tanh", padding="same"),
        ]
    )


def faulty(model, data, epochs=20):
    model.compile(optimizer=keras.optimizers.RMSprop(0.003), loss="mse")
    held = (data.validation.x, data.validation.y)
    return model.fit(data.x, data.y, epochs=epochs, batch_size=16, validation_data=held, verbose=0)


repaired = faulty
