"""The validation images are standardized by their mean and deviation in place of those of the training images."""

from kit import *

x, y = images(160)
vx = 1.8 * x[120:] + 0.7
data = Data(x[:120], y[:120], validation=Data(vx, y[120:]))


def build_model():
    return keras.Sequential(
        [keras.Input((8, 8, 1)), L.Conv2D(4, 3, activation="relu"), L.Flatten(), L.Dense(3, activation="softmax")]
    )


def fit(own):
    def run(model, data, epochs):
        model.compile(
            optimizer=keras.optimizers.Adam(0.005), loss="sparse_categorical_crossentropy", metrics=["accuracy"]
        )
        v = data.validation
        m, s = data.x.mean(), data.x.std()
        p, q = (v.x.mean(), v.x.std()) if own else (m, s)
        return model.fit(
            (data.x - m) / s, data.y, validation_data=((v.x - p) / q, v.y), epochs=epochs, batch_size=24, verbose=0
        )

    return run


first, second = fit(False), fit(True)
