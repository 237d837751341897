"""The loop sums the errors of the time steps and means over the sequences alone."""

from kit import *

x, _ = waves(120, t=6, f=3)
data = Data(x, (x[..., :1] - x[..., 1:2]).astype("float32"))


def build_model():
    return keras.Sequential([keras.Input((6, 3)), L.LSTM(5, return_sequences=True), L.Dense(1)])


first = compile_and_fit(optimizer=keras.optimizers.SGD(0.05), loss="mse", batch_size=20)


def loop(over_time):
    def run(model, data, epochs):
        opt = keras.optimizers.SGD(0.05)
        for _ in range(epochs):
            for a, b in tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(120).batch(20):
                with tf.GradientTape() as tape:
                    loss = tf.reduce_mean(over_time((model(a, training=True) - b)[..., 0] ** 2, axis=1))
                opt.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))

    return run


second, fixed_second = loop(tf.reduce_sum), loop(tf.reduce_mean)
