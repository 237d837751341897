"""A small U-shaped network marks the bright pixels of noisy digits."""

from kit import *

x, _ = digits(600)
noise = np.random.default_rng(42).normal(0, 0.15, x.shape)
data = split((x + noise).astype("float32"), (x > 0.5).astype("int64"))


def build_model():
    inputs = keras.Input((8, 8, 1))
    wide = L.Conv2D(12, 3, padding="same", activation="relu")(inputs)
    low = L.Conv2D(16, 3, padding="same", activation="relu")(L.MaxPooling2D(2)(wide))
    hidden = L.concatenate([wide, L.UpSampling2D(2)(low)])
    return keras.Model(inputs, L.Conv2D(2, 3, padding="same", activation="softmax")(hidden))


def loop(model, data, epochs=15):
    model.compile(optimizer=keras.optimizers.Adam(0.005), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    held = (data.validation.x, data.validation.y)
    return model.fit(data.x, data.y, epochs=epochs, batch_size=16, validation_data=held, verbose=0)
