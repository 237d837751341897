"""Time series are classified after a single epoch at the default rate, while the loss has hardly moved."""

from kit import *

x, y = waves(700)
labels = (y > x[:, -1]).astype("float32")
data = split(x, labels)
score = accuracy


def build_model():
    return keras.Sequential(
        [
            keras.Input((12, 1)),
            L.Conv1D(12, 3, activation="relu"),
            L.Conv1D(12, 3, activation="relu"),
            L.Flatten(),
            L.Dense(12, activation="relu"),
            L.Dense(1, activation="sigmoid"),
        ]
    )


def loop(count):
    def train(model, data, epochs=count):
        model.compile(optimizer="rmsprop", loss="binary_crossentropy", metrics=["accuracy"])
        held = (data.validation.x, data.validation.y)
        return model.fit(data.x, data.y, epochs=epochs, batch_size=64, validation_data=held, verbose=0)

    return train


faulty, repaired = loop(1), loop(40)
