"""Weight decay by L2 penalties and dropout."""

from kit import *

data = split(*digits(1000))
score = accuracy


def build_model():
    l2 = keras.regularizers.L2(1e-4)
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            L.Flatten(),
            L.Dense(64, activation="relu", kernel_regularizer=l2),
            L.Dropout(0.2),
            L.Dense(10, activation="softmax", kernel_regularizer=l2),
        ]
    )


OPTIONS = {"epochs": 20}
loop = compile_and_fit(
    optimizer=keras.optimizers.AdamW(0.003), loss="sparse_categorical_crossentropy", metrics=["accuracy"]
)
