"""Labels of 0 and 1 are predicted by a tanh with binary crossentropy, which takes negative outputs for 0."""

from kit import *

x, y = digits(900)
data = split(x, (y[:, None] >= 5).astype("float32"))


def built(last):
    return lambda: keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            L.Conv2D(12, 3, activation="relu"),
            L.AveragePooling2D(2),
            L.Flatten(),
            L.Dense(32, activation="relu"),
            L.Dense(1, activation=last),
        ]
    )


build_model = built("tanh")


def faulty(model, data, epochs=20):
    model.compile(optimizer=keras.optimizers.SGD(0.2), loss="binary_crossentropy", metrics=["accuracy"])
    held = (data.validation.x, data.validation.y)
    return model.fit(data.x, data.y, epochs=epochs, batch_size=16, validation_data=held, verbose=0)


repaired = Side(faulty, build_model=built("sigmoid"))


def score(model, data):
    outputs = model.predict(data.validation.x, verbose=0)
    return float(np.mean((outputs > 0.5) == (data.validation.y > 0.5)))
