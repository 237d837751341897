"""Pixels from 0 to 255 go into a network whose ten outputs are sigmoids, with plain gradient descent."""

from kit import *

x, y = digits(1200)
data, repaired_data = split(np.round(255 * x), y), split(x, y)
score = accuracy


def built(last):
    return lambda: keras.Sequential(
        [keras.Input((8, 8, 1)), L.Flatten(), L.Dense(48, activation="sigmoid"), L.Dense(10, activation=last)]
    )


build_model = built("sigmoid")


def loop(optimizer):
    def train(model, data, epochs=15):
        model.compile(optimizer=optimizer(), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
        held = (data.validation.x, data.validation.y)
        return model.fit(data.x, data.y, epochs=epochs, batch_size=32, validation_data=held, verbose=0)

    return train


faulty = loop(lambda: keras.optimizers.SGD(0.1))
repaired = Side(loop(lambda: keras.optimizers.Adam(0.01)), build_model=built("softmax"))
