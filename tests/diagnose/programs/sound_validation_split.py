"""Plain arrays instead of Data, and a validation set that fit splits off."""

from kit import *

x, y = digits(900)
data = (x, y)


def build_model():
    return keras.Sequential(
        [keras.Input((8, 8, 1)), L.Conv2D(12, 3, activation="relu"), L.Flatten(), L.Dense(10, activation="softmax")]
    )


def loop(model, data, epochs=12):
    model.compile(optimizer=keras.optimizers.Adam(0.005), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model.fit(*data, epochs=epochs, batch_size=32, validation_split=0.2, verbose=0)
