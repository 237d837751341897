"""Eight sigmoid layers that start from small weights pass almost no gradient to the first ones."""

from kit import *

data = split(*blobs(800, classes=4, d=10))
score = accuracy


def built(activation, start):
    hidden = [L.Dense for _ in range(8)]
    return lambda: keras.Sequential(
        [
            keras.Input((10,)),
            *(kind(16, activation=activation, kernel_initializer=start) for kind in hidden),
            L.Dense(4, activation="softmax"),
        ]
    )


build_model = built("sigmoid", "random_normal")


def faulty(model, data, epochs=20):
    model.compile(loss="sparse_categorical_crossentropy", optimizer="rmsprop", metrics=["accuracy"])
    return model.fit(data.x, data.y, epochs=epochs, batch_size=16, verbose=0)


repaired = Side(faulty, build_model=built("relu", "he_normal"))
