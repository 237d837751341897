"""drop_remainder=True in the loop."""

from kit import *

data = Data(*waves(125))


def build_model():
    return keras.Sequential([keras.Input((8, 2)), L.GRU(5), L.Dense(1)])


first = compile_and_fit(optimizer=keras.optimizers.Adam(0.02), loss="mse", batch_size=30)


def loop(drop):
    def run(model, data, epochs):
        opt = keras.optimizers.Adam(0.02)
        mse = keras.losses.MeanSquaredError()
        for _ in range(epochs):
            for a, b in (
                tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(125).batch(30, drop_remainder=drop)
            ):
                with tf.GradientTape() as tape:
                    loss = mse(b, model(a, training=True))
                opt.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))

    return run


second, fixed_second = loop(True), loop(False)
