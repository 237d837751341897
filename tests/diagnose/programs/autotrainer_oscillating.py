"""The loss of a recurrent network jumps up and down because RMSprop has a rate of 0.3."""

from kit import *

data = split(*waves(700))
score = explained


def build_model():
    return keras.Sequential([keras.Input((12, 1)), L.GRU(16), L.Dense(12, activation="relu"), L.Dense(1)])


def loop(rate):
    def train(model, data, epochs=15):
        model.compile(optimizer=keras.optimizers.RMSprop(rate), loss="mse")
        held = (data.validation.x, data.validation.y)
        return model.fit(data.x, data.y, epochs=epochs, batch_size=16, validation_data=held, verbose=0)

    return train


faulty, repaired = loop(0.3), loop(0.003)
