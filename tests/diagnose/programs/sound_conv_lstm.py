"""A dot that moves over small pictures: its direction is found by a ConvLSTM."""

from kit import *

r = np.random.default_rng(49)
start, way = r.integers(1, 5, (500, 2)), r.integers(0, 2, 500)
x = np.zeros((500, 4, 6, 8, 1), "float32")
for sample in range(500):
    for t in range(4):
        x[sample, t, start[sample, 0], start[sample, 1] - 1 + t if way[sample] else start[sample, 1] + 3 - t, 0] = 1
data = split(x, way)
score = accuracy


def build_model():
    return keras.Sequential(
        [keras.Input((4, 6, 8, 1)), L.ConvLSTM2D(6, 3), L.Flatten(), L.Dense(2, activation="softmax")]
    )


def loop(model, data, epochs=12):
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    held = (data.validation.x, data.validation.y)
    return model.fit(data.x, data.y, epochs=epochs, batch_size=25, validation_data=held, verbose=0)
