"""The labels of a support vector machine, -1 and 1, go into a binary cross-entropy from logits."""

from kit import *

x, y = groups(140, classes=2)
data = Data(x, y.astype("float32")[:, None])


class Net(keras.Model):
    def __init__(self):
        super().__init__()
        self.a = L.Dense(7, activation="relu")
        self.norm = L.LayerNormalization()
        self.b = L.Dense(1)

    def call(self, x):
        return self.b(self.norm(self.a(x)))


build_model = Net


def fit(change):
    def run(model, data, epochs):
        model.compile(optimizer=keras.optimizers.Adam(0.01), loss=keras.losses.BinaryCrossentropy(from_logits=True))
        return model.fit(data.x, change(data.y), epochs=epochs, batch_size=20, verbose=0)

    return run


first, second = fit(lambda y: y), fit(lambda y: 2 * y - 1)
