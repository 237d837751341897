"""The next state of the game of life is learned for two epochs at Adam's default rate."""

from kit import *

r = np.random.default_rng(16)
board = (r.uniform(size=(600, 8, 8)) < 0.4).astype("float32")
around = sum(
    np.roll(board, (down, right), (1, 2)) for down in (-1, 0, 1) for right in (-1, 0, 1) if (down, right) != (0, 0)
)
after = ((around == 3) | ((board == 1) & (around == 2))).astype("float32")
data = split(np.pad(board, ((0, 0), (1, 1), (1, 1)), mode="wrap")[..., None], after[..., None])
score = label_accuracy


def build_model():
    return keras.Sequential(
        [
            keras.Input((10, 10, 1)),
            L.Conv2D(24, 3, activation="relu"),
            L.Conv2D(16, 1, activation="relu"),
            L.Conv2D(1, 1, activation="sigmoid"),
        ]
    )


def loop(rate, count):
    def train(model, data, epochs=count):
        model.compile(optimizer=keras.optimizers.Adam(rate), loss="binary_crossentropy", metrics=["binary_accuracy"])
        held = (data.validation.x, data.validation.y)
        return model.fit(data.x, data.y, epochs=epochs, batch_size=16, validation_data=held, verbose=0)

    return train


faulty, repaired = loop(0.001, 2), loop(0.01, 20)
