"""Survival is one unit with softmax and categorical crossentropy: the output is always 1 and the loss always 0."""

from kit import *

r = np.random.default_rng(8)
z = r.normal(0, 1, (800, 5))
data = split(z.astype("float32"), (z[:, :1] - z[:, 1:2] + z[:, 2:3] * z[:, 3:4] > 0).astype("float32"))
score = accuracy


def built(last):
    return lambda: keras.Sequential(
        [
            keras.Input((5,)),
            L.Dense(32, activation="relu"),
            L.Dropout(0.1),
            L.Dense(16, activation="relu"),
            L.Dense(1, activation=last),
        ]
    )


build_model = built("softmax")


def loop(loss):
    def train(model, data, epochs=20):
        model.compile(loss=loss, optimizer=keras.optimizers.Adam(0.005), metrics=["accuracy"])
        return model.fit(data.x, data.y, epochs=epochs, batch_size=32, verbose=0)

    return train


faulty = loop("categorical_crossentropy")
repaired = Side(loop("binary_crossentropy"), build_model=built("sigmoid"))
halves = [Side(loop("categorical_crossentropy"), build_model=built("sigmoid")), loop("binary_crossentropy")]
