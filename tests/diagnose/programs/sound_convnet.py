"""The convolutional network of the first Keras example, on small digits with one-hot labels."""

from kit import *

x, y = digits(1200)
data = split(x, onehot(y, 10))
score = accuracy


def build_model():
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            L.Conv2D(12, 3, activation="relu", padding="same"),
            L.MaxPooling2D(2),
            L.Conv2D(24, 3, activation="relu", padding="same"),
            L.MaxPooling2D(2),
            L.Flatten(),
            L.Dropout(0.3),
            L.Dense(10, activation="softmax"),
        ]
    )


def loop(model, data, epochs=15):
    model.compile(loss="categorical_crossentropy", optimizer=keras.optimizers.Adam(0.005), metrics=["accuracy"])
    held = (data.validation.x, data.validation.y)
    return model.fit(data.x, data.y, batch_size=32, epochs=epochs, validation_data=held, verbose=0)
