"""The validation pass of the loop is called with training=True and moves the statistics of BatchNormalization."""

from kit import *

x, y = waves(155, t=10, f=3)
data = Data(x[:120], y[:120], validation=Data(3 * x[120:], y[120:]))


def build_model():
    return keras.Sequential(
        [
            keras.Input((10, 3)),
            L.Conv1D(5, 3, use_bias=False),
            L.BatchNormalization(momentum=0.7),
            L.ReLU(),
            L.GlobalAveragePooling1D(),
            L.Dense(1),
        ]
    )


first = compile_and_fit(optimizer=keras.optimizers.SGD(0.03), loss="mse", batch_size=24)


def loop(flag):
    def run(model, data, epochs):
        opt = keras.optimizers.SGD(0.03)
        mse = keras.losses.MeanSquaredError()
        v = data.validation
        for _ in range(epochs):
            seen = keras.metrics.Mean()
            for a, b in tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(120).batch(24):
                with tf.GradientTape() as tape:
                    loss = mse(b, model(a, training=True))
                opt.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))
                seen.update_state(loss, sample_weight=len(a))
            val = mse(v.y, model(v.x, training=flag))
        return {"loss": seen.result(), "val_loss": val}

    return run


second, fixed_second = loop(True), loop(False)
