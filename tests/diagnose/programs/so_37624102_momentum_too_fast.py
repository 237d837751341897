"""A rate of 0.5 with momentum 0.9 is far too high for a convolutional network, which ends at one class."""

from kit import *

data = split(*digits(1000))
score = accuracy


def build_model():
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            L.Conv2D(12, 3, padding="same", activation="relu"),
            L.Conv2D(12, 3, activation="relu"),
            L.MaxPooling2D(2),
            L.Flatten(),
            L.Dense(48, activation="relu"),
            L.Dense(10, activation="softmax"),
        ]
    )


def loop(rate):
    def train(model, data, epochs=10):
        sgd = keras.optimizers.SGD(learning_rate=rate, momentum=0.9, nesterov=True)
        model.compile(loss="sparse_categorical_crossentropy", optimizer=sgd, metrics=["accuracy"])
        return model.fit(data.x, data.y, batch_size=32, epochs=epochs, verbose=0)

    return train


faulty, repaired = loop(0.5), loop(0.02)
