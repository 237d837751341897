"""A small residual network with batch normalization."""

from kit import *

data = split(*digits(1000))
score = accuracy


def build_model():
    inputs = keras.Input((8, 8, 1))
    hidden = L.Conv2D(12, 3, padding="same")(inputs)
    for _ in range(2):
        inner = L.ReLU()(L.BatchNormalization()(L.Conv2D(12, 3, padding="same")(hidden)))
        inner = L.BatchNormalization()(L.Conv2D(12, 3, padding="same")(inner))
        hidden = L.ReLU()(L.add([hidden, inner]))
    return keras.Model(inputs, L.Dense(10, activation="softmax")(L.GlobalAveragePooling2D()(hidden)))


def loop(model, data, epochs=15):
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    held = (data.validation.x, data.validation.y)
    return model.fit(data.x, data.y, epochs=epochs, batch_size=32, validation_data=held, verbose=0)
