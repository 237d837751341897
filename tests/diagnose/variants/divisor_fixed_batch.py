"""The sum over the batch is divided by the nominal size, also for the smaller batch at the end."""

from kit import *

data = Data(*table(125, d=6))


class Net(keras.Model):
    def __init__(self):
        super().__init__()
        self.a = L.Dense(8, activation="relu")
        self.b = L.Dense(1)

    def call(self, x):
        return self.b(self.a(x))


build_model = Net
first = compile_and_fit(optimizer=keras.optimizers.SGD(0.05), loss="mse", batch_size=40)


def loop(divisor):
    def run(model, data, epochs):
        opt = keras.optimizers.SGD(0.05)
        for _ in range(epochs):
            for a, b in tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(125).batch(40):
                with tf.GradientTape() as tape:
                    loss = tf.reduce_sum((model(a, training=True) - b) ** 2) / divisor(a)
                opt.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))

    return run


second, fixed_second = loop(lambda a: 40.0), loop(lambda a: float(len(a)))
