"""Two permutations, one for the images and one for the labels."""

from kit import *

data = Data(*images(120))


def build_model():
    return keras.Sequential(
        [keras.Input((8, 8, 1)), L.Conv2D(3, 3, activation="relu"), L.Flatten(), L.Dense(3, activation="softmax")]
    )


def loop(together):
    def run(model, data, epochs):
        model.compile(optimizer=keras.optimizers.RMSprop(0.005), loss="sparse_categorical_crossentropy")
        r = np.random.default_rng(3)
        for _ in range(epochs):
            p = r.permutation(len(data.x))
            q = p if together else r.permutation(len(data.x))
            x, y = data.x[p], data.y[q]
            for s in range(0, len(x), 20):
                model.train_on_batch(x[s : s + 20], y[s : s + 20])

    return run


first, second = loop(True), loop(False)
