"""Signals of 60 points are separated by the softmax of one unit, which Nadam cannot change."""

from kit import *

r = np.random.default_rng(19)
label = r.integers(0, 2, (600, 1))
time = np.arange(60)[None]
x = np.sin(time * (0.2 + 0.1 * label) + r.uniform(0, 6, (600, 1))) + r.normal(0, 0.3, (600, 60))
data = split(x[..., None].astype("float32"), label.astype("float32"))
score = accuracy


def built(last):
    return lambda: keras.Sequential(
        [
            keras.Input((60, 1)),
            L.Conv1D(12, 6, activation="relu", padding="same"),
            L.MaxPooling1D(2),
            L.Dropout(0.1),
            L.Flatten(),
            L.Dense(16, activation="relu"),
            L.Dense(1, activation=last),
        ]
    )


build_model = built("softmax")


def loop(loss):
    return lambda model, data, epochs=10: compile_and_fit(
        loss=loss, optimizer="nadam", metrics=["accuracy"], batch_size=8
    )(model, data, epochs)


faulty = loop("mae")
repaired = Side(loop("binary_crossentropy"), build_model=built("sigmoid"))
