"""Rows sorted by class, and a shuffle buffer of four."""

from kit import *

x, y = images(120)
o = np.argsort(y, kind="stable")
data = Data(x[o], y[o])


def build_model():
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            L.Conv2D(3, 3, activation="relu"),
            L.GlobalMaxPooling2D(),
            L.Dense(3, activation="softmax"),
        ]
    )


def fit(buffer):
    def run(model, data, epochs):
        model.compile(optimizer=keras.optimizers.Adam(0.02), loss="sparse_categorical_crossentropy")
        return model.fit(
            tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(buffer).batch(20).prefetch(1),
            epochs=epochs,
            verbose=0,
        )

    return run


first, second = (
    compile_and_fit(optimizer=keras.optimizers.Adam(0.02), loss="sparse_categorical_crossentropy", batch_size=20),
    fit(4),
)
fixed_second = fit(120)
