"""An autoencoder of normal series, whose error finds others."""

from kit import *

x, _ = waves(800, t=24)
data = split(x, x)
score = explained


def build_model():
    return keras.Sequential(
        [
            keras.Input((24, 1)),
            L.Conv1D(16, 5, padding="same", strides=2, activation="relu"),
            L.Conv1D(8, 5, padding="same", strides=2, activation="relu"),
            L.Conv1DTranspose(8, 5, padding="same", strides=2, activation="relu"),
            L.Conv1DTranspose(16, 5, padding="same", strides=2, activation="relu"),
            L.Conv1D(1, 5, padding="same"),
        ]
    )


def loop(model, data, epochs=20):
    model.compile(optimizer=keras.optimizers.Adam(0.005), loss="mse")
    held = (data.validation.x, data.validation.x)
    return model.fit(data.x, data.x, epochs=epochs, batch_size=32, validation_data=held, verbose=0)
