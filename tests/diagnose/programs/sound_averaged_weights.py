"""The optimizer keeps a moving average of the weights, which are used at the end."""

from kit import *

data = split(*table(900, d=6))
score = explained


def build_model():
    return keras.Sequential([keras.Input((6,)), L.Dense(32, activation="relu"), L.Dense(1)])


def loop(model, data, epochs=30):
    adam = keras.optimizers.Adam(0.01, use_ema=True, ema_momentum=0.9)
    model.compile(optimizer=adam, loss="mse")
    return model.fit(data.x, data.y, epochs=epochs, batch_size=32, verbose=0)
