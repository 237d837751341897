"""Exclusive or starts from weights near zero and has a rate at which plain gradient descent does not leave them."""

from kit import *

data = split(*xor(400))
score = accuracy


def built(start):
    return lambda: keras.Sequential(
        [
            keras.Input((2,)),
            L.Dense(10, activation="tanh", kernel_initializer=start),
            L.Dense(1, activation="sigmoid", kernel_initializer=start),
        ]
    )


build_model = built(keras.initializers.RandomUniform(-0.01, 0.01))


def loop(optimizer):
    def train(model, data, epochs=30):
        model.compile(loss="binary_crossentropy", optimizer=optimizer(), metrics=["accuracy"])
        return model.fit(data.x, data.y, epochs=epochs, batch_size=16, verbose=0)

    return train


faulty = loop(lambda: keras.optimizers.SGD(0.001, momentum=0.9, nesterov=True))
repaired = Side(loop(lambda: keras.optimizers.Adam(0.02)), build_model=built("glorot_uniform"))
