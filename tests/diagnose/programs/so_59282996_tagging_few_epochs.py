"""A recurrent network that tags every step of a series is trained for two epochs only."""

from kit import *

r = np.random.default_rng(9)
x = np.cumsum(r.normal(0, 0.6, (500, 12, 2)), 1).astype("float32")
y = (np.maximum.accumulate(x[:, :, 0], 1) - x[:, :, 0] > 0.8).astype("int64")
data = split(x, y)


def build_model():
    return keras.Sequential(
        [
            keras.Input((12, 2)),
            L.LSTM(24, return_sequences=True),
            L.TimeDistributed(L.Dense(2, activation="softmax")),
        ]
    )


def loop(count):
    def train(model, data, epochs=count):
        model.compile(optimizer=keras.optimizers.Adam(0.01), loss="sparse_categorical_crossentropy")
        held = (data.validation.x, data.validation.y)
        return model.fit(data.x, data.y, epochs=epochs, batch_size=64, validation_data=held, verbose=0)

    return train


def score(model, data):
    found = model.predict(data.validation.x, verbose=0).argmax(-1) == data.validation.y
    constant = max(np.mean(data.validation.y), 1 - np.mean(data.validation.y))
    return float((found.mean() - constant) / (1 - constant))


faulty, repaired = loop(2), loop(40)
