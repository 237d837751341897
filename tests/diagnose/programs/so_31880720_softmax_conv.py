"""A convolutional network separates two kinds of pictures with the softmax of one unit, by binary crossentropy."""

from kit import *

x, y = bright_shapes(600)
data = split(x / 255, (y[:, None] > 1).astype("float32"))
score = accuracy


def built(last):
    def build():
        model = keras.Sequential([keras.Input((10, 10, 3))])
        model.add(L.Conv2D(6, 3, activation="relu"))
        model.add(L.MaxPooling2D(2))
        model.add(L.Dropout(0.1))
        model.add(L.Flatten())
        model.add(L.Dense(16, activation="relu"))
        model.add(L.Dense(1))
        model.add(L.Activation(last))
        return model

    return build


build_model = built("softmax")


def faulty(model, data, epochs=10):
    model.compile(loss="binary_crossentropy", optimizer="adam", metrics=["accuracy"])
    held = (data.validation.x, data.validation.y)
    return model.fit(data.x, data.y, epochs=epochs, batch_size=16, validation_data=held, verbose=0)


repaired = Side(faulty, build_model=built("sigmoid"))
