"""Text classification with an embedding and a bidirectional LSTM."""

from kit import *

data = split(*sentences(800))
score = accuracy


def build_model():
    inputs = keras.Input((None,), dtype="int32")
    hidden = L.Embedding(30, 12)(inputs)
    hidden = L.Bidirectional(L.LSTM(8))(hidden)
    return keras.Model(inputs, L.Dense(1, activation="sigmoid")(hidden))


def loop(model, data, epochs=10):
    model.compile(keras.optimizers.Adam(0.01), "binary_crossentropy", metrics=["accuracy"])
    return model.fit(
        data.x, data.y, batch_size=32, epochs=epochs, validation_data=(data.validation.x, data.validation.y), verbose=0
    )
