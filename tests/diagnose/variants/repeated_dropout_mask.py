"""A user-written dropout layer with an integer seed draws the same mask at each call; the other has a SeedGenerator."""

from kit import *

data = Data(*images(120))


def kind(fixed):
    class Drop(L.Layer):
        def __init__(self):
            super().__init__()
            self.seeds = keras.random.SeedGenerator(11)

        def call(self, x, training=False):
            return keras.random.dropout(x, 0.4, seed=11 if fixed else self.seeds) if training else x

    def build():
        return keras.Sequential(
            [
                keras.Input((8, 8, 1)),
                L.Conv2D(3, 3, activation="relu"),
                L.Flatten(),
                Drop(),
                L.Dense(3, activation="softmax"),
            ]
        )

    return build


build_model = kind(False)
fit = compile_and_fit(optimizer=keras.optimizers.SGD(0.05), loss="sparse_categorical_crossentropy", batch_size=20)
first, second = fit, Side(fit, build_model=kind(True))
