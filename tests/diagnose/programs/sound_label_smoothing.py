"""One-hot labels with label smoothing."""

from kit import *

x, y = blobs(900, classes=5, d=10)
data = split(x, onehot(y, 5))
score = accuracy
OPTIONS = {"epochs": 15}


def build_model():
    return keras.Sequential([keras.Input((10,)), L.Dense(32, activation="relu"), L.Dense(5, activation="softmax")])


loop = compile_and_fit(
    optimizer=keras.optimizers.Adam(0.005),
    loss=keras.losses.CategoricalCrossentropy(label_smoothing=0.1),
    metrics=["accuracy"],
)
