"""A recurrent network whose gradients are clipped by their norm."""

from kit import *

data = split(*waves(700))
score = explained


def build_model():
    return keras.Sequential([keras.Input((12, 1)), L.SimpleRNN(16), L.Dense(1)])


def loop(model, data, epochs=20):
    model.compile(optimizer=keras.optimizers.RMSprop(0.005, clipnorm=1.0), loss="mse", metrics=["mae"])
    held = (data.validation.x, data.validation.y)
    return model.fit(data.x, data.y, epochs=epochs, batch_size=32, validation_data=held, verbose=0)
