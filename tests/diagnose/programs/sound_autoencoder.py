"""A dense autoencoder of digits."""

from kit import *

x, _ = digits(1000)
x = x.reshape(-1, 64)
data = split(x, x)
score = explained


def build_model():
    inputs = keras.Input((64,))
    code = L.Dense(24, activation="relu")(inputs)
    return keras.Model(inputs, L.Dense(64, activation="sigmoid")(code))


def loop(model, data, epochs=40):
    model.compile(optimizer=keras.optimizers.Adam(0.005), loss="binary_crossentropy")
    held = (data.validation.x, data.validation.x)
    return model.fit(data.x, data.x, epochs=epochs, batch_size=32, shuffle=True, validation_data=held, verbose=0)
