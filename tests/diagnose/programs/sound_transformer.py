"""Text classification with a block of attention, as in the example of the transformer."""

from kit import *

data = split(*sentences(700, t=12))


class Block(L.Layer):
    def __init__(self, width=16, heads=2):
        super().__init__()
        self.attention = L.MultiHeadAttention(heads, width // heads)
        self.dense = keras.Sequential([L.Dense(32, activation="relu"), L.Dense(width)])
        self.first, self.second = L.LayerNormalization(epsilon=1e-6), L.LayerNormalization(epsilon=1e-6)
        self.drop = L.Dropout(0.1)

    def call(self, x, training=None):
        x = self.first(x + self.drop(self.attention(x, x), training=training))
        return self.second(x + self.dense(x))


class Places(L.Layer):
    def __init__(self, length=12, width=16):
        super().__init__()
        self.words, self.places, self.length = L.Embedding(30, width), L.Embedding(length, width), length

    def call(self, x):
        return self.words(x) + self.places(keras.ops.arange(self.length))


def build_model():
    inputs = keras.Input((12,))
    hidden = L.GlobalAveragePooling1D()(Block()(Places()(inputs)))
    hidden = L.Dense(16, activation="relu")(hidden)
    return keras.Model(inputs, L.Dense(2, activation="softmax")(hidden))


def loop(model, data, epochs=8):
    model.compile(keras.optimizers.Adam(0.005), "sparse_categorical_crossentropy", metrics=["accuracy"])
    held = (data.validation.x, data.validation.y)
    return model.fit(data.x, data.y, batch_size=32, epochs=epochs, validation_data=held, verbose=0)


def score(model, data):
    return float(np.mean(model.predict(data.validation.x, verbose=0).argmax(1) == data.validation.y[:, 0]))
