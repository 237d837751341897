"""Batches in a new order every epoch, by train_on_batch."""

from kit import *

data = split(*rings(800))
score = accuracy


def build_model():
    return keras.Sequential([keras.Input((2,)), L.Dense(24, activation="relu"), L.Dense(1, activation="sigmoid")])


def loop(model, data, epochs=20):
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss="binary_crossentropy", metrics=["accuracy"])
    r = np.random.default_rng(0)
    for _ in range(epochs):
        for rows in np.array_split(r.permutation(len(data.x)), 20):
            model.train_on_batch(data.x[rows], data.y[rows])
