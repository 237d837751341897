"""The validation of a recurrent model with batch normalization passes training=True."""

from kit import *

x, y = waves(140)
data = Data(x[:100], y[:100], validation=Data(x[100:], y[100:]))


def build_model():
    return keras.Sequential([keras.Input((8, 2)), L.LSTM(6), L.BatchNormalization(), L.Dense(1)])


first = compile_and_fit(optimizer=keras.optimizers.Adam(0.01), loss="mse", batch_size=20)


def loop(flag):
    def run(model, data, epochs):
        opt, mse = keras.optimizers.Adam(0.01), keras.losses.MeanSquaredError()
        out = {}
        for _ in range(epochs):
            total = keras.metrics.Mean()
            for a, b in tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(100).batch(20):
                with tf.GradientTape() as tape:
                    loss = mse(b, model(a, training=True))
                opt.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
                total.update_state(loss, sample_weight=len(a))
            out = {"loss": total.result()}
            if data.validation is not None:
                out["val_loss"] = mse(data.validation.y, model(data.validation.x, training=flag))
        return out

    return run


second, fixed_second = loop(True), loop(False)
