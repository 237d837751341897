"""Batches come from a PyDataset."""

from kit import *

x, y = blobs(800, classes=3, d=6)


class Batches(keras.utils.PyDataset):
    def __init__(self, x, y, size=32):
        super().__init__()
        self.x, self.y, self.size = x, y, size

    def __len__(self):
        return -(-len(self.x) // self.size)

    def __getitem__(self, i):
        rows = slice(i * self.size, (i + 1) * self.size)
        return self.x[rows], self.y[rows]


data = split(x, y)
score = accuracy


def build_model():
    return keras.Sequential([keras.Input((6,)), L.Dense(24, activation="relu"), L.Dense(3, activation="softmax")])


def loop(model, data, epochs=12):
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    held = (data.validation.x, data.validation.y)
    return model.fit(Batches(data.x, data.y), epochs=epochs, validation_data=held, verbose=0)
