"""Patches of digits are classified by attention."""

from kit import *

data = split(*digits(1000))
score = accuracy


def build_model():
    inputs = keras.Input((8, 8, 1))
    patches = L.Reshape((16, 24))(L.Conv2D(24, 2, strides=2)(inputs))
    hidden = patches
    for _ in range(2):
        normal = L.LayerNormalization(epsilon=1e-6)(hidden)
        hidden = L.add([hidden, L.MultiHeadAttention(2, 12, dropout=0.1)(normal, normal)])
        inner = L.Dense(48, activation="gelu")(L.LayerNormalization(epsilon=1e-6)(hidden))
        hidden = L.add([hidden, L.Dense(24)(inner)])
    hidden = L.Flatten()(L.LayerNormalization(epsilon=1e-6)(hidden))
    return keras.Model(inputs, L.Dense(10)(hidden))


def loop(model, data, epochs=12):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=keras.optimizers.AdamW(0.002, weight_decay=0.0001), loss=loss, metrics=["accuracy"])
    held = (data.validation.x, data.validation.y)
    return model.fit(data.x, data.y, epochs=epochs, batch_size=32, validation_data=held, verbose=0)
