"""The training pictures are divided by 255 and the validation pictures are not: the validation metric is wrong."""

from kit import *

r = np.random.default_rng(11)
y = r.integers(0, 4, 700)
light = (50 + 50 * y + r.normal(0, 8, 700))[:, None, None, None]
data = split(np.clip(light + r.normal(0, 40, (700, 10, 10, 3)), 0, 255).astype("float32"), y)


def build_model():
    return keras.Sequential(
        [
            keras.Input((10, 10, 3)),
            L.Conv2D(8, 3, activation="relu"),
            L.MaxPooling2D(2),
            L.Flatten(),
            L.Dense(16, activation="relu"),
            L.Dense(4, activation="softmax"),
        ]
    )


def loop(prepare_held):
    def train(model, data, epochs=12):
        model.compile(
            optimizer=keras.optimizers.Adam(0.01), loss="sparse_categorical_crossentropy", metrics=["accuracy"]
        )
        held = (prepare_held(data.validation.x), data.validation.y)
        return model.fit(data.x / 255.0, data.y, epochs=epochs, batch_size=16, validation_data=held, verbose=0)

    return train


faulty, repaired = loop(lambda x: x), loop(lambda x: x / 255.0)
