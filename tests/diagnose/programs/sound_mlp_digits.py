"""A dense network for digits, with compile and fit."""

from kit import *

x, y = digits(1200)
data = split(x.reshape(-1, 64), y)
score = accuracy


def build_model():
    return keras.Sequential([keras.Input((64,)), L.Dense(48, activation="relu"), L.Dense(10, activation="softmax")])


def loop(model, data, epochs=15):
    model.compile(optimizer=keras.optimizers.Adam(0.003), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    held = (data.validation.x, data.validation.y)
    return model.fit(data.x, data.y, epochs=epochs, batch_size=32, validation_data=held, verbose=0)
