"""The place of a bright spot is learned by a convolutional network whose Adam has a rate of 0.1."""

from kit import *

r = np.random.default_rng(17)
place = r.uniform(2, 9, (700, 2))
rows, columns = np.mgrid[0:12, 0:12]
far = (rows - place[:, 0, None, None]) ** 2 + (columns - place[:, 1, None, None]) ** 2
x = np.exp(-far / 4) + r.normal(0, 0.05, far.shape)
data = split(x[..., None].astype("float32"), ((place - 5.5) / 3.5).astype("float32"))
score = explained


def build_model():
    return keras.Sequential(
        [
            keras.Input((12, 12, 1)),
            L.Conv2D(8, 3, activation="relu"),
            L.MaxPooling2D(2),
            L.Flatten(),
            L.Dense(32, activation="relu"),
            L.Dense(2),
        ]
    )


def loop(optimizer):
    def train(model, data, epochs=15):
        model.compile(optimizer(), "mean_squared_error")
        return model.fit(data.x, data.y, batch_size=16, epochs=epochs, verbose=0)

    return train


faulty = loop(lambda: keras.optimizers.Adam(0.1))
repaired = loop(lambda: keras.optimizers.Adam(0.003))
