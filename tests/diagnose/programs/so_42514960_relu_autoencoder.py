"""An autoencoder of numbers around zero ends in a relu, which cannot give the negative half of them."""

from kit import *

r = np.random.default_rng(10)
x = np.tanh(r.normal(0, 1, (800, 3)) @ r.normal(0, 1, (3, 10)) * 0.7).astype("float32")
data = split(x, x)
score = explained


def built(last):
    return lambda: keras.Sequential(
        [
            keras.Input((10,)),
            L.Dense(20, activation="tanh"),
            L.Dense(4, activation="tanh"),
            L.Dense(20, activation="tanh"),
            L.Dense(10, activation=last),
        ]
    )


build_model = built("relu")


def faulty(model, data, epochs=30):
    model.compile(optimizer=keras.optimizers.Adam(0.005), loss="mse")
    return model.fit(
        data.x, data.x, epochs=epochs, batch_size=32, validation_data=(data.validation.x, data.validation.x), verbose=0
    )


repaired = Side(faulty, build_model=built("tanh"))
