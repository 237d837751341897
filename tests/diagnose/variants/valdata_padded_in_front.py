"""Validation texts are padded in front, training texts behind."""

from kit import *

x, n = tokens(155)
y = (x[:, 0] > 5).astype("int32")
data = Data(x[:120], y[:120], validation=Data(x[120:], y[120:]))


def build_model():
    return keras.Sequential(
        [keras.Input((7,), dtype="int32"), L.Embedding(12, 5), L.LSTM(6), L.Dense(2, activation="softmax")]
    )


def front(x):
    return np.stack([np.concatenate([r[r == 0], r[r != 0]]) for r in x])


def fit(prepare):
    def run(model, data, epochs):
        model.compile(optimizer=keras.optimizers.Adam(0.1), loss="sparse_categorical_crossentropy")
        v = data.validation
        return model.fit(data.x, data.y, validation_data=(prepare(v.x), v.y), epochs=epochs, batch_size=20, verbose=0)

    return run


first, second = fit(lambda x: x), fit(front)
