"""The weights of a deep network start so wide that the first update throws them far away."""

from kit import *

data = split(*blobs(800, classes=3, d=6))
score = accuracy


def built(start):
    return lambda: keras.Sequential(
        [
            keras.Input((6,)),
            *(L.Dense(16, activation="relu", kernel_initializer=start) for _ in range(6)),
            L.Dense(3, activation="softmax"),
        ]
    )


build_model = built(keras.initializers.RandomNormal(stddev=2.0))


def faulty(model, data, epochs=15):
    model.compile(optimizer=keras.optimizers.SGD(0.02), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model.fit(data.x, data.y, epochs=epochs, batch_size=16, verbose=0)


repaired = Side(faulty, build_model=built("he_normal"))
