"""The loop divides by the sum of the weights, and Keras by the number of samples."""

from kit import *

x, y = waves(120)
data = Data(x, y, sample_weight=np.random.default_rng(3).uniform(0.2, 4, 120).astype("float32"))


def build_model():
    return keras.Sequential([keras.Input((8, 2)), L.Conv1D(5, 3, activation="tanh"), L.Flatten(), L.Dense(1)])


first = compile_and_fit(optimizer=keras.optimizers.SGD(0.05), loss="mse", batch_size=24)


def loop(by_sum):
    def step(model, opt, x, y, w):
        with tf.GradientTape() as tape:
            each = keras.losses.mean_squared_error(y, model(x, training=True))
            loss = tf.reduce_sum(w * each) / (tf.reduce_sum(w) if by_sum else len(x))
        opt.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)

    return steps(step, optimizer=lambda: keras.optimizers.SGD(0.05), batch_size=24)


second, fixed_second = loop(True), loop(False)
