"""The pictures of a tutorial are not divided by 255."""

from kit import *

x, y = digits(1000)
data = split(np.round(255 * x).astype("float32"), y)
score = accuracy


def build_model():
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            L.Flatten(),
            L.Dense(48, activation="tanh"),
            L.Dense(24, activation="tanh"),
            L.Dense(10, activation="softmax"),
        ]
    )


def faulty(model, data, epochs=12):
    model.compile(optimizer=keras.optimizers.Adam(0.005), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    held = (data.validation.x, data.validation.y)
    return model.fit(data.x, data.y, epochs=epochs, batch_size=32, validation_data=held, verbose=0)


repaired, repaired_data = faulty, split(x, y)
