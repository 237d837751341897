"""A regression on absolute errors stops after four epochs of large batches, while the loss still falls steeply."""

from kit import *

data = split(*table(1000, d=8))
score = explained


def build_model():
    return keras.Sequential(
        [keras.Input((8,)), L.Dense(32, activation="relu"), L.Dense(16, activation="relu"), L.Dense(1)]
    )


def loop(loss, optimizer, epochs, size):
    def train(model, data, epochs=epochs):
        model.compile(loss=loss, optimizer=optimizer)
        return model.fit(data.x, data.y, epochs=epochs, batch_size=size, verbose=0)

    return train


faulty, repaired = loop("mean_absolute_error", "rmsprop", 4, 128), loop("mse", "adam", 60, 16)
