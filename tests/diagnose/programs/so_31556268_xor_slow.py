"""Exclusive or is trained by plain gradient descent on squared errors, with a rate at which nothing moves."""

from kit import *

data = split(*xor(400))
score = accuracy


def build_model():
    return keras.Sequential([keras.Input((2,)), L.Dense(8, activation="tanh"), L.Dense(1, activation="sigmoid")])


def loop(rate):
    def train(model, data, epochs=30):
        sgd = keras.optimizers.SGD(learning_rate=rate, momentum=0.11, nesterov=True)
        model.compile(loss="mean_squared_error", optimizer=sgd)
        return model.fit(data.x, data.y, epochs=epochs, batch_size=4, shuffle=True, verbose=0)

    return train


faulty, repaired = loop(0.001), loop(0.5)
