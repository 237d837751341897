"""A series is put into one of two classes by a softmax unit on squared errors, trained batch by batch."""

from kit import *

x, y = waves(800)
data = split(x[:, :, 0], (y - x[:, -1] > 0).astype("float32"))
score = accuracy


def built(last):
    return lambda: keras.Sequential(
        [keras.Input((12,)), L.Dense(24), L.Activation("tanh"), L.Dropout(0.1), L.Dense(1), L.Activation(last)]
    )


build_model = built("softmax")


def loop(loss):
    def train(model, data, epochs=20):
        model.compile(loss=loss, optimizer=keras.optimizers.SGD(0.1, momentum=0.9), metrics=["accuracy"])
        rows = np.arange(len(data.x))
        for _ in range(epochs):
            np.random.shuffle(rows)
            for taken in np.array_split(rows, len(rows) // 20):
                model.train_on_batch(data.x[taken], data.y[taken])

    return train


faulty = loop("mean_squared_error")
repaired = Side(loop("binary_crossentropy"), build_model=built("sigmoid"))
