"""Prices in euros; one side reports the error in cents."""

from kit import *

data = Data(*table(125, d=5))


def build_model():
    return keras.Sequential([keras.Input((5,)), L.Dense(8, activation="swish"), L.Dense(1)])


def loop(unit):
    def run(model, data, epochs):
        opt = keras.optimizers.Adagrad(0.1)
        mse = keras.losses.MeanSquaredError()
        mae = keras.metrics.MeanAbsoluteError()
        for _ in range(epochs):
            mae.reset_state()
            for a, b in tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(125).batch(25):
                with tf.GradientTape() as tape:
                    p = model(a, training=True)
                    loss = mse(b, p)
                opt.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))
                mae.update_state(b, p)
        return {"mae": unit * float(mae.result())}

    return run


first, second = loop(1.0), loop(100.0)
fixed_second = compile_and_fit(optimizer=keras.optimizers.Adagrad(0.1), loss="mse", metrics=["mae"], batch_size=25)
