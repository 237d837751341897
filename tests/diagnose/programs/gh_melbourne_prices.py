"""Prices of about a million are the targets of tanh layers whose weights would need years to reach them."""

from kit import *

x, y = table(800, d=7)
prices = (900000 + 250000 * y).astype("float32")
data = split(x, prices)
repaired_data = split(x, ((prices - prices.mean()) / prices.std()).astype("float32"))
score = explained


def build_model():
    return keras.Sequential(
        [
            keras.Input((7,)),
            L.Dense(20, activation="tanh", kernel_initializer="glorot_normal"),
            L.Dense(20, activation="tanh", kernel_initializer="glorot_normal"),
            L.Dense(1, activation="linear"),
        ]
    )


def faulty(model, data, epochs=40):
    model.compile(loss="mean_absolute_error", optimizer=keras.optimizers.Adam(0.01), metrics=["mae"])
    held = (data.validation.x, data.validation.y)
    return model.fit(data.x, data.y, epochs=epochs, batch_size=32, validation_data=held, verbose=0)


repaired = faulty
