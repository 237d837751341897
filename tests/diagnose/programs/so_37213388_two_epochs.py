"""A convolutional autoencoder of digits is trained for one epoch."""

from kit import *

x, _ = digits(600)
data = split(x, x)


def build_model():
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            L.Conv2D(12, 3, padding="same", activation="relu"),
            L.MaxPooling2D(2),
            L.Conv2D(6, 3, padding="same", activation="relu"),
            L.UpSampling2D(2),
            L.Conv2D(12, 3, padding="same", activation="relu"),
            L.Conv2D(1, 3, padding="same", activation="sigmoid"),
        ]
    )


def loop(count):
    def train(model, data, epochs=count):
        model.compile(optimizer=keras.optimizers.Adam(0.003), loss="binary_crossentropy")
        held = (data.validation.x, data.validation.x)
        return model.fit(data.x, data.x, epochs=epochs, batch_size=32, validation_data=held, verbose=0)

    return train


score = explained
faulty, repaired = loop(1), loop(30)
