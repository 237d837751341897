"""Each of five epochs is a single batch of all samples, so that there are five updates."""

from kit import *

data = split(*blobs(1000, classes=4, d=6))
score = accuracy


def build_model():
    return keras.Sequential(
        [keras.Input((6,)), L.Dense(32, activation="relu"), L.Dropout(0.1), L.Dense(4, activation="softmax")]
    )


def loop(size, count):
    def train(model, data, epochs=count):
        model.compile(loss="sparse_categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
        held = (data.validation.x, data.validation.y)
        return model.fit(data.x, data.y, epochs=epochs, batch_size=size, validation_data=held, verbose=0)

    return train


faulty, repaired = loop(10000, 5), loop(16, 20)
