"""A wide and a deep part share the inputs of a table."""

from kit import *

data = split(*table(900, d=8))
score = explained


def build_model():
    inputs = keras.Input((8,))
    deep = L.Dense(24, activation="relu")(L.BatchNormalization()(inputs))
    deep = L.Dense(24, activation="relu")(deep)
    return keras.Model(inputs, L.Dense(1)(L.concatenate([inputs, deep])))


def loop(model, data, epochs=25):
    model.compile(optimizer=keras.optimizers.Adam(0.005), loss="mse")
    held = (data.validation.x, data.validation.y)
    return model.fit(data.x, data.y, epochs=epochs, batch_size=32, validation_data=held, verbose=0)
