"""Transfer learning: a base that was trained on other classes is frozen, and a new head is trained."""

from kit import *

x, y = digits(1500)
data = split(x[y >= 5], y[y >= 5] - 5)
score = accuracy


def base_trained_on_small_digits():
    keras.utils.set_random_seed(3)
    base = keras.Sequential(
        [keras.Input((8, 8, 1)), L.Conv2D(24, 3, activation="relu"), L.MaxPooling2D(2), L.Flatten()]
    )
    whole = keras.Sequential([base, L.Dense(5, activation="softmax")])
    whole.compile(optimizer=keras.optimizers.Adam(0.005), loss="sparse_categorical_crossentropy")
    whole.fit(x[y < 5], y[y < 5], epochs=8, verbose=0)
    return base.get_weights()


WEIGHTS = base_trained_on_small_digits()


def build_model():
    base = keras.Sequential(
        [keras.Input((8, 8, 1)), L.Conv2D(24, 3, activation="relu"), L.MaxPooling2D(2), L.Flatten()]
    )
    base.set_weights(WEIGHTS)
    base.trainable = False
    inputs = keras.Input((8, 8, 1))
    hidden = L.Dropout(0.1)(base(inputs, training=False))
    return keras.Model(inputs, L.Dense(5, activation="softmax")(hidden))


def loop(model, data, epochs=20):
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    held = (data.validation.x, data.validation.y)
    return model.fit(data.x, data.y, epochs=epochs, batch_size=32, validation_data=held, verbose=0)
