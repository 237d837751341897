"""Colour pictures from 0 to 255 go into a convolutional network with plain gradient descent, and all units die."""

from kit import *

data = split(*bright_shapes(600))
repaired_data = split(bright_shapes(600)[0] / 255, bright_shapes(600)[1])
score = accuracy


def build_model():
    return keras.Sequential(
        [
            keras.Input((10, 10, 3)),
            L.Conv2D(8, 3, activation="relu"),
            L.Conv2D(8, 3, activation="relu"),
            L.MaxPooling2D(2),
            L.Flatten(),
            L.Dense(24, activation="relu"),
            L.Dense(4, activation="softmax"),
        ]
    )


def loop(optimizer):
    def train(model, data, epochs=12):
        model.compile(optimizer=optimizer(), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
        return model.fit(data.x, data.y, epochs=epochs, batch_size=32, verbose=0)

    return train


faulty = loop(lambda: keras.optimizers.SGD(0.05))
repaired = loop(lambda: keras.optimizers.SGD(0.05))
