"""The targets lie between -1 and 1, and the output of the network passes a relu, which gives no negative number."""

from kit import *

x, y = table(700, d=4)
data = split(x, np.tanh(y))
score = explained


def built(last):
    return lambda: keras.Sequential(
        [
            keras.Input((4,)),
            L.Dense(16, activation="tanh"),
            L.Dense(16, activation="tanh"),
            L.Dense(1, activation=last),
        ]
    )


build_model = built("relu")


def faulty(model, data, epochs=25):
    model.compile(loss="mse", optimizer=keras.optimizers.Adam(0.005), metrics=["mae"])
    return model.fit(
        data.x, data.y, epochs=epochs, batch_size=16, validation_data=(data.validation.x, data.validation.y), verbose=0
    )


repaired = Side(faulty, build_model=built("tanh"))
