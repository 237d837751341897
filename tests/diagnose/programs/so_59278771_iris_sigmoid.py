"""Flower measurements in millimetres go through two narrow relu layers into three sigmoids."""

from kit import *

r = np.random.default_rng(4)
y = r.integers(0, 3, 600)
means = np.array([[50, 34, 15, 2], [59, 28, 43, 13], [66, 30, 56, 20]])
x = (means[y] + r.normal(0, [4, 3, 3, 2], (600, 4))).astype("float32")
data = split(x, onehot(y, 3))
repaired_data = split(((x - x.mean(0)) / x.std(0)).astype("float32"), onehot(y, 3))
score = accuracy


def built(hidden, last):
    return lambda: keras.Sequential(
        [
            keras.Input((4,)),
            L.Dense(4, activation=hidden, kernel_initializer="normal"),
            L.Dense(3, activation=last, kernel_initializer="normal"),
        ]
    )


build_model = built("relu", "sigmoid")


def train(rate):
    def loop(model, data, epochs=25):
        model.compile(optimizer=keras.optimizers.SGD(rate), loss="categorical_crossentropy", metrics=["accuracy"])
        return model.fit(data.x, data.y, epochs=epochs, batch_size=10, verbose=0)

    return loop


faulty = train(0.05)
repaired = Side(train(0.05), build_model=built("selu", "softmax"))
