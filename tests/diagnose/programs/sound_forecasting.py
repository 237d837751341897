"""A forecast of a time series by an LSTM, with a loop that stops early."""

from kit import *

data = split(*waves(800))
score = explained


def build_model():
    inputs = keras.Input((12, 1))
    return keras.Model(inputs, L.Dense(1)(L.LSTM(16)(inputs)))


def loop(model, data, epochs=20):
    stop = keras.callbacks.EarlyStopping(monitor="val_loss", min_delta=0, patience=5)
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss="mse")
    held = (data.validation.x, data.validation.y)
    return model.fit(data.x, data.y, epochs=epochs, batch_size=32, validation_data=held, callbacks=[stop], verbose=0)
