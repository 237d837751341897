"""validation_steps=1: the first ten rows stand for the validation set."""

from kit import *

x, y = groups(160)
data = Data(x[:120], y[:120], validation=Data(x[120:], y[120:]))


def build_model():
    return keras.Sequential(
        [keras.Input((6,)), L.Dense(8), L.BatchNormalization(), L.ReLU(), L.Dense(3, activation="softmax")]
    )


def fit(steps):
    def run(model, data, epochs):
        model.compile(optimizer=keras.optimizers.SGD(0.1), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
        v = data.validation
        return model.fit(
            data.x,
            data.y,
            epochs=epochs,
            batch_size=24,
            verbose=0,
            validation_data=tf.data.Dataset.from_tensor_slices((v.x, v.y)).batch(10),
            validation_steps=steps,
        )

    return run


first, second = fit(None), fit(1)
