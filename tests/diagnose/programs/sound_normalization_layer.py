"""A regression on columns of very different units, which an adapted Normalization layer scales."""

from kit import *

z, y = table(900, d=6)
x = (z * [1, 200, 3, 5000, 10, 900] + [0, 1000, 0, 20000, 5, 0]).astype("float32")
data = split(x, y)
score = explained


def build_model():
    scale = L.Normalization()
    scale.adapt(x[:675])
    return keras.Sequential(
        [keras.Input((6,)), scale, L.Dense(32, activation="relu"), L.Dense(32, activation="relu"), L.Dense(1)]
    )


def loop(model, data, epochs=30):
    model.compile(optimizer=keras.optimizers.Adam(0.005), loss="mean_absolute_error")
    held = (data.validation.x, data.validation.y)
    return model.fit(data.x, data.y, epochs=epochs, batch_size=32, validation_data=held, verbose=0)
