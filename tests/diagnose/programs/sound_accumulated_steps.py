"""Gradients of four small batches make one update, by the optimizer's option."""

from kit import *

data = split(*blobs(960, classes=3, d=8))
score = accuracy


def build_model():
    return keras.Sequential([keras.Input((8,)), L.Dense(24, activation="relu"), L.Dense(3, activation="softmax")])


def loop(model, data, epochs=15):
    adam = keras.optimizers.Adam(0.01, gradient_accumulation_steps=4)
    model.compile(optimizer=adam, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model.fit(data.x, data.y, epochs=epochs, batch_size=8, verbose=0)
