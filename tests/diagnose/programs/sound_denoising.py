"""A convolutional autoencoder that removes noise from digits."""

from kit import *

x, _ = digits(800)
noisy = np.clip(x + 0.2 * np.random.default_rng(30).normal(size=x.shape), 0, 1).astype("float32")
data = split(noisy, x)
score = explained


def build_model():
    inputs = keras.Input((8, 8, 1))
    hidden = L.Conv2D(16, 3, activation="relu", padding="same")(inputs)
    hidden = L.MaxPooling2D(2, padding="same")(hidden)
    hidden = L.Conv2D(16, 3, activation="relu", padding="same")(hidden)
    hidden = L.Conv2DTranspose(16, 3, strides=2, activation="relu", padding="same")(hidden)
    return keras.Model(inputs, L.Conv2D(1, 3, activation="sigmoid", padding="same")(hidden))


def loop(model, data, epochs=25):
    model.compile(optimizer=keras.optimizers.Adam(0.005), loss="binary_crossentropy")
    held = (data.validation.x, data.validation.y)
    return model.fit(data.x, data.y, epochs=epochs, batch_size=32, validation_data=held, verbose=0)
