"""The place of a bright spot is a regression on pictures."""

from kit import *

r = np.random.default_rng(52)
place = r.uniform(2, 8, (700, 2))
rows, columns = np.mgrid[0:10, 0:10]
far = (rows - place[:, :1, None]) ** 2 + (columns - place[:, 1:, None]) ** 2
data = split(np.exp(-far / 3)[..., None].astype("float32"), ((place - 5) / 3).astype("float32"))
score = explained


def build_model():
    return keras.Sequential(
        [
            keras.Input((10, 10, 1)),
            L.Conv2D(8, 3, activation="relu"),
            L.MaxPooling2D(2),
            L.Flatten(),
            L.Dense(24, activation="relu"),
            L.Dense(2),
        ]
    )


def loop(model, data, epochs=15):
    model.compile(optimizer=keras.optimizers.Adam(0.005), loss="mse", metrics=["mae"])
    held = (data.validation.x, data.validation.y)
    return model.fit(data.x, data.y, epochs=epochs, batch_size=32, validation_data=held, verbose=0)
