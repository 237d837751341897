"""Ten narrow relu layers on unscaled columns predict the same number for every sample."""

from kit import *

r = np.random.default_rng(13)
z = r.normal(0, 1, (800, 8))
x = (400 * z + 1500).astype("float32")
y = (z[:, :1] * 1.5 + np.sin(2 * z[:, 1:2]) + r.normal(0, 0.1, (800, 1))).astype("float32")
data, repaired_data = split(x, y), split(z.astype("float32"), y)
score = explained


def built(widths, first, inner):
    def build():
        model = keras.Sequential([keras.Input((8,))])
        model.add(L.Dense(10, activation=first))
        for width in widths:
            model.add(L.Dense(width, activation=inner))
        model.add(L.Dense(1))
        return model

    return build


build_model = built([6] * 9, "tanh", "relu")


def faulty(model, data, epochs=30):
    model.compile(optimizer=keras.optimizers.Adam(0.003), loss="mean_squared_error")
    held = (data.validation.x, data.validation.y)
    return model.fit(data.x, data.y, batch_size=16, epochs=epochs, validation_data=held, verbose=0)


repaired = Side(faulty, build_model=built([25], "relu", "relu"))
