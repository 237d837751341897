"""The sum over the batch in place of the mean, and no last batch."""

from kit import *

data = Data(*table(125, d=6))


def build_model():
    return keras.Sequential([keras.Input((6,)), L.Dense(8, activation="tanh"), L.Dense(1)])


first = compile_and_fit(optimizer=keras.optimizers.SGD(0.01), loss="mse", batch_size=30)


def loop(reduce, drop):
    def run(model, data, epochs):
        opt = keras.optimizers.SGD(0.01)
        for _ in range(epochs):
            for a, b in (
                tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(125).batch(30, drop_remainder=drop)
            ):
                with tf.GradientTape() as tape:
                    loss = reduce((model(a, training=True) - b) ** 2)
                opt.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))

    return run


s, m = tf.reduce_sum, tf.reduce_mean
second, halves, fixed_second = loop(s, True), (loop(s, False), loop(m, True)), loop(m, False)
