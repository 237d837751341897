"""Six tanh layers that start from tiny weights on two rings: the gradient of the first layers is nearly zero."""

from kit import *

data = split(*rings(700))
score = accuracy


def built(activation, start):
    return lambda: keras.Sequential(
        [
            keras.Input((2,)),
            *(L.Dense(16, activation=activation, kernel_initializer=start) for _ in range(6)),
            L.Dense(1, activation="sigmoid"),
        ]
    )


build_model = built("tanh", keras.initializers.RandomNormal(stddev=0.02))


def faulty(model, data, epochs=20):
    model.compile(optimizer=keras.optimizers.SGD(0.02, momentum=0.9), loss="binary_crossentropy", metrics=["accuracy"])
    held = (data.validation.x, data.validation.y)
    return model.fit(data.x, data.y, epochs=epochs, batch_size=16, validation_data=held, verbose=0)


repaired = Side(faulty, build_model=built("tanh", "glorot_uniform"))
