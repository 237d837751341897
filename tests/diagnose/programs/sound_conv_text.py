"""Text classification with one-dimensional convolutions."""

from kit import *

data = split(*sentences(800, t=16))
score = accuracy


def build_model():
    inputs = keras.Input((16,), dtype="int64")
    hidden = L.Dropout(0.2)(L.Embedding(30, 16)(inputs))
    hidden = L.Conv1D(16, 3, padding="valid", activation="relu")(hidden)
    hidden = L.Dense(16, activation="relu")(L.GlobalAveragePooling1D()(hidden))
    return keras.Model(inputs, L.Dense(1, activation="sigmoid", name="predictions")(hidden))


OPTIONS = {"epochs": 15}
loop = compile_and_fit(loss="binary_crossentropy", optimizer=keras.optimizers.Adam(0.005), metrics=["accuracy"])
