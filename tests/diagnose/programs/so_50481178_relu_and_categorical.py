"""Whether a customer leaves is one relu unit with categorical crossentropy, which has no gradient."""

from kit import *

x, y = rings(800)
data = split(x, y)
score = accuracy


def built(last):
    return lambda: keras.Sequential(
        [keras.Input((2,)), L.Dense(16, activation="relu"), L.Dense(16, activation="relu"), L.Dense(1, activation=last)]
    )


build_model = built("relu")


def loop(loss):
    return compile_and_fit(optimizer=keras.optimizers.Adam(0.01), loss=loss, metrics=["accuracy"], batch_size=16)


OPTIONS = {"epochs": 15}
faulty = loop("categorical_crossentropy")
repaired = Side(loop("binary_crossentropy"), build_model=built("sigmoid"))
