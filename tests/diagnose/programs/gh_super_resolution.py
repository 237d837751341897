"""Pictures are doubled in size by a network whose gradient descent has a rate of 0.0001."""

from kit import *

x, _ = digits(900)
small = x.reshape(-1, 4, 2, 4, 2, 1).mean((2, 4)).astype("float32")
data = split(small, x)
score = explained


def build_model():
    return keras.Sequential(
        [
            keras.Input((4, 4, 1)),
            L.UpSampling2D(2),
            L.Conv2D(16, 3, padding="same", activation="relu"),
            L.Conv2D(8, 3, padding="same", activation="relu"),
            L.Conv2D(1, 3, padding="same"),
        ]
    )


def loop(optimizer):
    def train(model, data, epochs=15):
        model.compile(optimizer=optimizer(), loss="mse")
        held = (data.validation.x, data.validation.y)
        return model.fit(data.x, data.y, epochs=epochs, batch_size=16, validation_data=held, verbose=0)

    return train


faulty = loop(lambda: keras.optimizers.SGD(0.0001))
repaired = loop(lambda: keras.optimizers.Adam(0.003))
