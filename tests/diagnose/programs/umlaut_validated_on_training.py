"""The validation set of a network that learns noise by heart is a part of the training set, and looks perfect."""

from kit import *

r = np.random.default_rng(21)
x, y = blobs(400, classes=2, d=20, spread=3.0)
data = split(x, y)


def build_model():
    return keras.Sequential([keras.Input((20,)), L.Dense(24, activation="relu"), L.Dense(2, activation="softmax")])


def loop(choose):
    def train(model, data, epochs=20):
        model.compile(
            optimizer=keras.optimizers.Adam(0.01), loss="sparse_categorical_crossentropy", metrics=["accuracy"]
        )
        return model.fit(data.x, data.y, epochs=epochs, batch_size=16, validation_data=choose(data), verbose=0)

    return train


faulty = loop(lambda data: (data.x[:100], data.y[:100]))
repaired = loop(lambda data: (data.validation.x, data.validation.y))
