"""All kernels of one side's recurrent network start at 0.1."""

from kit import *

data = Data(*waves(120))
own_start = True


def made(init):
    return lambda: keras.Sequential(
        [
            keras.Input((8, 2)),
            L.GRU(6, kernel_initializer=init, recurrent_initializer=init),
            L.Dense(1, kernel_initializer=init),
        ]
    )


build_model = made("glorot_uniform")
fit = compile_and_fit(optimizer=keras.optimizers.Adam(0.01), loss="mse", batch_size=20)
first, second = fit, Side(fit, build_model=made(keras.initializers.Constant(0.1)))
