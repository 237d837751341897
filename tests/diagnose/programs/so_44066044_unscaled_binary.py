"""Columns of very different units, up to tens of thousands, go into a network that starts from small weights."""

from kit import *

r = np.random.default_rng(7)
z = r.normal(0, 1, (800, 6))
y = (z[:, :1] + z[:, 1:2] * z[:, 2:3] > 0).astype("float32")
x = (z * [1, 200, 3, 5000, 10, 900] + [0, 1000, 0, 20000, 5, 0]).astype("float32")
data, repaired_data = split(x, y), split(z.astype("float32"), y)
score = accuracy


def built(last):
    return lambda: keras.Sequential(
        [
            keras.Input((6,)),
            L.Dense(24, kernel_initializer="normal", activation="relu"),
            L.Dense(12, kernel_initializer="normal", activation="relu"),
            L.Dense(1, kernel_initializer="normal", activation=last),
        ]
    )


build_model = built("sigmoid")


def faulty(model, data, epochs=25):
    model.compile(loss="binary_crossentropy", optimizer=keras.optimizers.Adam(0.005), metrics=["accuracy"])
    held = (data.validation.x, data.validation.y)
    return model.fit(data.x, data.y, epochs=epochs, batch_size=32, validation_data=held, verbose=0)


repaired = faulty
