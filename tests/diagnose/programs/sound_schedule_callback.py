"""A callback lowers the rate after some epochs, and another one keeps the best weights."""

from kit import *

data = split(*table(900, d=6))
score = explained


def build_model():
    return keras.Sequential([keras.Input((6,)), L.Dense(32, activation="relu"), L.Dense(1)])


def loop(model, data, epochs=30):
    slower = keras.callbacks.LearningRateScheduler(lambda epoch, rate: 0.01 if epoch < 15 else 0.002)
    best = keras.callbacks.EarlyStopping(patience=10, restore_best_weights=True)
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss="huber")
    held = (data.validation.x, data.validation.y)
    return model.fit(
        data.x, data.y, epochs=epochs, batch_size=32, validation_data=held, callbacks=[slower, best], verbose=0
    )
