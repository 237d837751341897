"""Every batch is drawn with replacement, train_on_batch."""

from kit import *

data = Data(*waves(128))


def build_model():
    return keras.Sequential([keras.Input((8, 2)), L.SimpleRNN(6), L.Dense(1)])


def loop(replace):
    def run(model, data, epochs):
        model.compile(optimizer=keras.optimizers.RMSprop(0.005), loss="mse")
        n = len(data.x)
        r = np.random.default_rng(1)
        for _ in range(epochs):
            order = r.permutation(n)
            for s in range(0, n, 16):
                i = r.choice(n, len(order[s : s + 16])) if replace else order[s : s + 16]
                model.train_on_batch(data.x[i], data.y[i])

    return run


first, second = loop(False), loop(True)
