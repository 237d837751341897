"""Every step of a padded sentence gets a label, and padding is masked."""

from kit import *

r = np.random.default_rng(45)
lengths = r.integers(4, 11, 700)
x = np.where(np.arange(10) < lengths[:, None], r.integers(1, 20, (700, 10)), 0)
y = np.where(x > 0, (x + np.roll(x, 1, 1)) % 2, 0)
data = split(x.astype("int32"), y)


def build_model():
    return keras.Sequential(
        [
            keras.Input((10,)),
            L.Embedding(20, 16, mask_zero=True),
            L.Bidirectional(L.GRU(16, return_sequences=True)),
            L.Dense(2, activation="softmax"),
        ]
    )


def loop(model, data, epochs=20):
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
    held = (data.validation.x, data.validation.y)
    return model.fit(data.x, data.y, epochs=epochs, batch_size=32, validation_data=held, verbose=0)
