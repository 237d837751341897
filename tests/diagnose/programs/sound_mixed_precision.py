"""Mixed precision: float16 inside, and a float32 output; the optimizer scales the loss by itself."""

from kit import *

data = split(*blobs(900, classes=3, d=8))
score = accuracy


def build_model():
    policy = keras.mixed_precision.Policy("mixed_float16")
    return keras.Sequential(
        [
            keras.Input((8,)),
            L.Dense(24, activation="relu", dtype=policy),
            L.Dense(3, dtype=policy),
            L.Activation("softmax", dtype="float32"),
        ]
    )


def loop(model, data, epochs=12):
    optimizer = keras.mixed_precision.LossScaleOptimizer(keras.optimizers.Adam(0.005))
    model.compile(optimizer=optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    held = (data.validation.x, data.validation.y)
    return model.fit(data.x, data.y, epochs=epochs, batch_size=32, validation_data=held, verbose=0)
