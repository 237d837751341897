"""A convolutional network for digits trains eight epochs at a rate that is too low for them."""

from kit import *

data = split(*digits(1200))
score = accuracy


def build_model():
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            L.Conv2D(12, 3, activation="relu"),
            L.MaxPooling2D(2),
            L.Dropout(0.2),
            L.Flatten(),
            L.Dense(32, activation="relu"),
            L.Dense(10, activation="softmax"),
        ]
    )


def loop(rate):
    def train(model, data, epochs=8):
        sgd = keras.optimizers.SGD(learning_rate=rate, momentum=0.5)
        model.compile(loss="sparse_categorical_crossentropy", optimizer=sgd, metrics=["accuracy"])
        held = (data.validation.x, data.validation.y)
        return model.fit(data.x, data.y, epochs=epochs, batch_size=32, validation_data=held, verbose=0)

    return train


faulty, repaired = loop(0.001), loop(0.2)
