"""The rate falls along a cosine over all updates."""

from kit import *

data = split(*digits(1000))
score = accuracy


def build_model():
    return keras.Sequential(
        [keras.Input((8, 8, 1)), L.Conv2D(12, 3, activation="relu"), L.Flatten(), L.Dense(10, activation="softmax")]
    )


def loop(model, data, epochs=15):
    rate = keras.optimizers.schedules.CosineDecay(0.1, decay_steps=epochs * 24)
    model.compile(
        optimizer=keras.optimizers.SGD(rate, momentum=0.9), loss="sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    held = (data.validation.x, data.validation.y)
    return model.fit(data.x, data.y, epochs=epochs, batch_size=32, validation_data=held, verbose=0)
