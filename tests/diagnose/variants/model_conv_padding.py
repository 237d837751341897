"""A PyTorch port: Conv2D without padding there, "same" here; the pooled features have the same shape."""

from kit import *

data = Data(*images(140))


def made(padding):
    def build():
        i = keras.Input((8, 8, 1))
        h = L.Conv2D(6, 3, padding=padding, activation="relu")(i)
        return keras.Model(i, L.Dense(3, activation="softmax")(L.GlobalAveragePooling2D()(h)))

    return build


build_model = made("valid")
fit = compile_and_fit(
    optimizer=keras.optimizers.Adam(0.02), loss="sparse_categorical_crossentropy", metrics=["accuracy"], batch_size=16
)
first, second = fit, Side(fit, build_model=made("same"))
