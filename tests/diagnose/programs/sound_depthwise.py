"""Separable convolutions with squeeze of the picture by strides."""

from kit import *

x, y = bright_shapes(700)
data = split(x / 127.5 - 1, y)
score = accuracy


def build_model():
    return keras.Sequential(
        [
            keras.Input((10, 10, 3)),
            L.SeparableConv2D(16, 3, strides=2, padding="same", activation="relu"),
            L.SeparableConv2D(16, 3, padding="same", activation="relu"),
            L.Flatten(),
            L.Dense(4, activation="softmax"),
        ]
    )


def loop(model, data, epochs=12):
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    held = (data.validation.x, data.validation.y)
    return model.fit(data.x, data.y, epochs=epochs, batch_size=32, validation_data=held, verbose=0)
