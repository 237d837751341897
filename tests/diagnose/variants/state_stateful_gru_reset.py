"""A stateful GRU: one loop sets its state back at each epoch, the other does not. Batches of a fixed size."""

from kit import *

r = np.random.default_rng(4)
s = np.cumsum(r.normal(0, 0.4, (8, 15 * 5)), 1)
x = s.reshape(8, 15, 5, 1).transpose(1, 0, 2, 3).reshape(120, 5, 1).astype("float32")
data = Data(x, (x[:, -1] * 0.7 + 0.2).astype("float32"))
predict = False


def build_model():
    return keras.Sequential([keras.Input(batch_shape=(8, 5, 1)), L.GRU(6, stateful=True), L.Dense(1)])


def loop(reset):
    def run(model, data, epochs):
        opt = keras.optimizers.Adam(0.02)
        for _ in range(epochs):
            if reset:
                model.layers[0].reset_state()
            for a, b in tf.data.Dataset.from_tensor_slices((data.x, data.y)).batch(8, drop_remainder=True):
                with tf.GradientTape() as tape:
                    loss = tf.reduce_mean((model(a, training=True) - b) ** 2)
                opt.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))

    return run


first, second = loop(True), loop(False)
