"""Boundaries are meant in updates; the loop's counter counts samples and reaches them too soon."""

from kit import *

data = Data(*table(130, d=6))


class Net(keras.Model):
    def __init__(self):
        super().__init__()
        self.a = L.Dense(9, activation="relu")
        self.b = L.Dense(1)

    def call(self, x):
        return self.b(self.a(x))


build_model = Net
rate = lambda k: 0.1 if k < 5 else 0.01
first = compile_and_fit(
    optimizer=lambda: keras.optimizers.SGD(keras.optimizers.schedules.PiecewiseConstantDecay([4], [0.1, 0.01])),
    loss="mse",
    batch_size=26,
)


def loop(by_sample):
    def run(model, data, epochs):
        opt = keras.optimizers.SGD(0.1)
        k = 0
        for _ in range(epochs):
            for a, b in tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(130).batch(26):
                opt.learning_rate = rate(k)
                with tf.GradientTape() as tape:
                    loss = tf.reduce_mean((model(a, training=True) - b) ** 2)
                opt.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
                k += len(a) if by_sample else 1

    return run


second, fixed_second = loop(True), loop(False)
