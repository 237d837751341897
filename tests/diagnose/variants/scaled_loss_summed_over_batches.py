"""The reported loss of an epoch is the sum over its samples, and not their mean."""

from kit import *

data = Data(*waves(120))


def build_model():
    return keras.Sequential([keras.Input((8, 2)), L.LSTM(5), L.Dropout(0.2), L.Dense(1)])


first = compile_and_fit(optimizer=keras.optimizers.Adam(0.01), loss="mse", batch_size=24)


def loop(divided):
    def run(model, data, epochs):
        opt, mse, total = keras.optimizers.Adam(0.01), keras.losses.MeanSquaredError(), 0.0
        for _ in range(epochs):
            total = 0.0
            for a, b in tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(120).batch(24):
                with tf.GradientTape() as tape:
                    loss = mse(b, model(a, training=True))
                opt.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
                total += float(loss) * len(a)
        return {"loss": total / len(data.x) if divided else total}

    return run


second, fixed_second = loop(False), loop(True)
