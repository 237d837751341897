"""Augmentation layers inside the model, which act in training only."""

from kit import *

x, y = bright_shapes(600)
data = split(x / 255, y)
score = accuracy


def build_model():
    return keras.Sequential(
        [
            keras.Input((10, 10, 3)),
            L.GaussianNoise(0.1),
            L.RandomTranslation(0.1, 0.1),
            L.Conv2D(8, 3, activation="relu"),
            L.MaxPooling2D(2),
            L.Flatten(),
            L.Dense(4, activation="softmax"),
        ]
    )


def loop(model, data, epochs=12):
    model.compile(optimizer=keras.optimizers.Adam(0.005), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    held = (data.validation.x, data.validation.y)
    return model.fit(data.x, data.y, epochs=epochs, batch_size=32, validation_data=held, verbose=0)
