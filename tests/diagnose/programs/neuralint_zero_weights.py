"""All kernels start at zero, so that the hidden units get no gradient and the network predicts one class."""

from kit import *

data = split(*digits(900))
score = accuracy


def built(start):
    return lambda: keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            L.Conv2D(8, 3, activation="relu", kernel_initializer=start),
            L.MaxPooling2D(2),
            L.Flatten(),
            L.Dense(32, activation="relu", kernel_initializer=start),
            L.Dense(10, activation="softmax", kernel_initializer=start),
        ]
    )


build_model = built("zeros")


def faulty(model, data, epochs=12):
    model.compile(optimizer=keras.optimizers.Adam(0.003), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    held = (data.validation.x, data.validation.y)
    return model.fit(data.x, data.y, epochs=epochs, batch_size=32, validation_data=held, verbose=0)


repaired = Side(faulty, build_model=built("glorot_uniform"))
