"""MaxPooling on one side, AveragePooling on the other, in a network of one dimension with BatchNormalization."""

from kit import *

data = Data(*waves(120, t=12, f=3))


def made(pool):
    def build():
        return keras.Sequential(
            [
                keras.Input((12, 3)),
                L.Conv1D(6, 3, use_bias=False),
                L.BatchNormalization(),
                L.ReLU(),
                pool(2),
                L.Flatten(),
                L.Dense(1),
            ]
        )

    return build


build_model = made(L.MaxPooling1D)
fit = compile_and_fit(optimizer=keras.optimizers.SGD(0.02, momentum=0.9), loss="mse", metrics=["mae"], batch_size=16)
first, second = fit, Side(fit, build_model=made(L.AveragePooling1D))
