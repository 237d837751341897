"""Padded series: one model has a Masking layer before its LSTM, the other reads the padding too."""

from kit import *

x, y = waves(110, t=9, f=2)
n = np.random.default_rng(2).integers(3, 10, 110)
x[np.arange(9)[None] >= n[:, None]] = 0
data = Data(x, y)


def made(masked):
    def build():
        return keras.Sequential([keras.Input((9, 2)), *([L.Masking()] if masked else []), L.LSTM(6), L.Dense(1)])

    return build


build_model = made(True)
fit = compile_and_fit(optimizer=keras.optimizers.Adam(0.01), loss="mse", batch_size=22)
first, second = fit, Side(fit, build_model=made(False))
