"""Texts and labels are shuffled as two datasets and zipped afterwards; attention."""

from kit import *

x, n = tokens(120)
data = Data(x, (n > 4).astype("float32")[:, None])


def build_model():
    inputs = keras.Input((7,), dtype="int32")
    h = L.Embedding(12, 6)(inputs)
    h = L.GlobalAveragePooling1D()(L.MultiHeadAttention(2, 3)(h, h))
    return keras.Model(inputs, L.Dense(1, activation="sigmoid")(h))


first = compile_and_fit(optimizer=keras.optimizers.Adam(0.01), loss="binary_crossentropy", batch_size=24)


def loop(apart):
    def run(model, data, epochs):
        model.compile(optimizer=keras.optimizers.Adam(0.01), loss="binary_crossentropy")
        one, other = (tf.data.Dataset.from_tensor_slices(part) for part in (data.x, data.y))
        if apart:
            pairs = tf.data.Dataset.zip((one.shuffle(120), other.shuffle(120)))
        else:
            pairs = tf.data.Dataset.zip((one, other)).shuffle(120)
        return model.fit(pairs.batch(24), epochs=epochs, verbose=0)

    return run


second, fixed_second = loop(True), loop(False)
