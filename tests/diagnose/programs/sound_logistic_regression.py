"""Logistic regression on two classes, from logits."""

from kit import *

x, y = blobs(800, classes=2, d=6)
data = split(x, y[:, None].astype("float32"))
score = accuracy


def build_model():
    return keras.Sequential([keras.Input((6,)), L.Dense(1)])


def loop(model, data, epochs=20):
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    model.compile(optimizer=keras.optimizers.SGD(0.2), loss=loss, metrics=[keras.metrics.BinaryAccuracy(threshold=0.0)])
    return model.fit(data.x, data.y, epochs=epochs, batch_size=32, verbose=0)
