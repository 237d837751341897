"""Sentences of word numbers are classified after one epoch of large batches."""

from kit import *

data = split(*sentences(1000, t=14))
score = accuracy


def build_model():
    return keras.Sequential(
        [
            keras.Input((14,)),
            L.Embedding(30, 12),
            L.Dropout(0.2),
            L.GRU(12),
            L.Dense(12, activation="relu"),
            L.Dense(1, activation="sigmoid"),
        ]
    )


def loop(count, size):
    def train(model, data, epochs=count):
        model.compile(optimizer=keras.optimizers.RMSprop(0.002), loss="binary_crossentropy", metrics=["accuracy"])
        held = (data.validation.x, data.validation.y)
        return model.fit(data.x, data.y, epochs=epochs, batch_size=size, validation_data=held, verbose=0)

    return train


faulty, repaired = loop(1, 128), loop(15, 16)
