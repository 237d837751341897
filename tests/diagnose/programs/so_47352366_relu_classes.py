"""Ten classes are predicted by relus, and categorical crossentropy gets their outputs as probabilities."""

from kit import *

x, y = digits(1200)
data = split(x, onehot(y, 10))
score = accuracy


def built(last):
    return lambda: keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            L.Conv2D(8, 3, padding="same", activation="relu"),
            L.BatchNormalization(),
            L.MaxPooling2D(2),
            L.Flatten(),
            L.Dense(32, activation="relu"),
            L.Dense(10, activation=last),
        ]
    )


build_model = built("relu")


def faulty(model, data, epochs=8):
    model.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])
    return model.fit(data.x, data.y, epochs=epochs, batch_size=20, verbose=0)


repaired = Side(faulty, build_model=built("softmax"))
