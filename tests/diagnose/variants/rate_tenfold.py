"""A learning rate of 0.01 read as 0.001; train_on_batch."""

from kit import *

data = Data(*waves(120))


def build_model():
    return keras.Sequential(
        [keras.Input((8, 2)), L.Conv1D(4, 3, activation="relu"), L.GlobalAveragePooling1D(), L.Dense(1)]
    )


def train(rate):
    def run(model, data, epochs):
        model.compile(optimizer=keras.optimizers.Adam(rate), loss="mse")
        for _ in range(epochs):
            for a, b in tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(120).batch(20):
                model.train_on_batch(a, b)

    return run


first, second = train(0.01), train(0.001)
fixed_second = compile_and_fit(optimizer=keras.optimizers.Adam(0.01), loss="mse", batch_size=20)
