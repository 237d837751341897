"""Ordered classes as cumulative binary labels."""

from kit import *

x, y = table(1000, d=5)
grade = np.digitize(y[:, 0], [-1, 0, 1])
data = split(x, (grade[:, None] > np.arange(3)).astype("float32"))
score = label_accuracy


def build_model():
    return keras.Sequential([keras.Input((5,)), L.Dense(32, activation="relu"), L.Dense(3, activation="sigmoid")])


def loop(model, data, epochs=25):
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss="binary_crossentropy")
    return model.fit(data.x, data.y, epochs=epochs, batch_size=32, verbose=0)
