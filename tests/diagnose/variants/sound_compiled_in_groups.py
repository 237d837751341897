"""jit_compile and steps_per_execution on one side, neither on the other."""

from kit import *

x, y = waves(155)
data = Data(x[:120], y[:120], validation=Data(x[120:], y[120:]))


def build_model():
    return keras.Sequential(
        [keras.Input((8, 2)), L.Conv1D(4, 3, activation="gelu"), L.LayerNormalization(), L.Flatten(), L.Dense(1)]
    )


o = dict(optimizer=keras.optimizers.SGD(0.02, momentum=0.9, nesterov=True), loss="mse", metrics=["mae"], batch_size=20)
first, second = compile_and_fit(jit_compile=False, **o), compile_and_fit(jit_compile=True, steps_per_execution=3, **o)
