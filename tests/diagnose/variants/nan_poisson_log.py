"""A rate after relu can be 0, and the likelihood by hand takes its logarithm."""

from kit import *

x, y = table(125)
data = Data(x, np.round(np.exp(0.4 * y)).astype("float32"))


def build_model():
    return keras.Sequential([keras.Input((5,)), L.Dense(8, activation="tanh"), L.Dense(1, activation="relu")])


first = compile_and_fit(optimizer=keras.optimizers.SGD(0.01), loss="poisson", batch_size=25)


def loop(small):
    def run(model, data, epochs):
        opt = keras.optimizers.SGD(0.01)
        for _ in range(epochs):
            seen = keras.metrics.Mean()
            for a, b in tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(125).batch(25):
                with tf.GradientTape() as tape:
                    p = model(a, training=True)
                    loss = tf.reduce_mean(p - b * tf.math.log(p + small))
                opt.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))
                seen.update_state(loss, sample_weight=len(a))
        return {"loss": seen.result()}

    return run


second, fixed_second = loop(0.0), loop(1e-7)
