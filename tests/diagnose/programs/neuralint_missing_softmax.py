"""The last layer has no softmax, and sparse categorical crossentropy takes its output for probabilities."""

from kit import *

x, y = digits(1000)
data = split(x.reshape(-1, 64), y)
score = accuracy


def built(last):
    return lambda: keras.Sequential(
        [
            keras.Input((64,)),
            L.Dense(24, activation="relu"),
            L.Dense(24, activation="relu"),
            L.Dense(10, activation=last),
        ]
    )


build_model = built(None)


def faulty(model, data, epochs=15):
    model.compile(optimizer=keras.optimizers.SGD(0.1), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model.fit(data.x, data.y, epochs=epochs, batch_size=32, verbose=0)


repaired = Side(faulty, build_model=built("softmax"))
