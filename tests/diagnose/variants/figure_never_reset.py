"""The metrics of the loop are made once and run on over all epochs."""

from kit import *

data = Data(*waves(120))


def build_model():
    return keras.Sequential([keras.Input((8, 2)), L.SimpleRNN(5), L.Dense(1)])


first = compile_and_fit(optimizer=keras.optimizers.Adam(0.03), loss="mse", metrics=["mae"], batch_size=20)


def loop(reset):
    def run(model, data, epochs):
        opt = keras.optimizers.Adam(0.03)
        mse = keras.losses.MeanSquaredError()
        seen, mae = keras.metrics.Mean(), keras.metrics.MeanAbsoluteError()
        for _ in range(epochs):
            if reset:
                seen.reset_state()
                mae.reset_state()
            for a, b in tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(120).batch(20):
                with tf.GradientTape() as tape:
                    p = model(a, training=True)
                    loss = mse(b, p)
                opt.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))
                seen.update_state(loss, sample_weight=len(a))
                mae.update_state(b, p)
        return {"loss": seen.result(), "mae": mae.result()}

    return run


second, fixed_second = loop(False), loop(True)
