"""Transfer learning in two stages: the head alone, then the whole network at a low rate."""

from kit import *

x, y = blobs(1000, classes=4, d=10)
data = split(x, y)
score = accuracy


def build_model():
    inputs = keras.Input((10,))
    hidden = L.Dense(32, activation="relu", name="base")(inputs)
    return keras.Model(inputs, L.Dense(4, activation="softmax")(hidden))


def loop(model, data, epochs=10):
    base = model.get_layer("base")
    base.trainable = False
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(data.x, data.y, epochs=epochs, verbose=0)
    base.trainable = True
    model.compile(optimizer=keras.optimizers.Adam(0.002), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model.fit(data.x, data.y, epochs=epochs, verbose=0)
