"""Several labels per sample: sigmoids with binary crossentropy."""

from kit import *

r = np.random.default_rng(32)
x = r.normal(0, 1, (1200, 8)).astype("float32")
data = split(x, (x @ r.normal(0, 1, (8, 5)) + r.normal(0, 0.1, (1200, 5)) > 0.5).astype("float32"))
score = label_accuracy


def build_model():
    return keras.Sequential([keras.Input((8,)), L.Dense(32, activation="relu"), L.Dense(5, activation="sigmoid")])


def loop(model, data, epochs=25):
    model.compile(loss="binary_crossentropy", optimizer=keras.optimizers.Adam(0.005), metrics=["binary_accuracy"])
    held = (data.validation.x, data.validation.y)
    return model.fit(data.x, data.y, epochs=epochs, batch_size=32, validation_data=held, verbose=0)
