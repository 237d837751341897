"""What one side reports as "mae" is the root of the mean squared error."""

from kit import *

x, y = waves(150)
data = Data(x[:120], y[:120], validation=Data(x[120:], y[120:]))


def build_model():
    return keras.Sequential([keras.Input((8, 2)), L.SimpleRNN(5), L.Dense(1)])


first = compile_and_fit(optimizer=keras.optimizers.Adam(0.01), loss="mse", metrics=["mae"], batch_size=20)


def loop(kind):
    def run(model, data, epochs):
        opt = keras.optimizers.Adam(0.01)
        mse = keras.losses.MeanSquaredError()
        v = data.validation
        for _ in range(epochs):
            seen, m, vm = keras.metrics.Mean(), kind(), kind()
            for a, b in tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(120).batch(20):
                with tf.GradientTape() as tape:
                    p = model(a, training=True)
                    loss = mse(b, p)
                opt.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))
                seen.update_state(loss, sample_weight=len(a))
                m.update_state(b, p)
            q = model(v.x, training=False)
            vm.update_state(v.y, q)
        return {"loss": seen.result(), "mae": m.result(), "val_loss": mse(v.y, q), "val_mae": vm.result()}

    return run


second, fixed_second = loop(keras.metrics.RootMeanSquaredError), loop(keras.metrics.MeanAbsoluteError)
