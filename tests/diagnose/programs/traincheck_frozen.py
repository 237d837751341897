"""A layer was frozen for a first stage and stays so: the untrained weights limit the network."""

from kit import *

x, y = digits(900)
data = split(x, y)
score = accuracy


def built(trained):
    def build():
        model = keras.Sequential(
            [
                keras.Input((8, 8, 1)),
                L.Flatten(),
                L.Dense(6, activation="relu"),
                L.Dense(48, activation="relu"),
                L.Dense(10, activation="softmax"),
            ]
        )
        model.layers[1].trainable = trained
        return model

    return build


build_model = built(False)


def faulty(model, data, epochs=25):
    model.compile(optimizer=keras.optimizers.Adam(0.005), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    held = (data.validation.x, data.validation.y)
    return model.fit(data.x, data.y, epochs=epochs, batch_size=32, validation_data=held, verbose=0)


repaired = Side(faulty, build_model=built(True))
