"""The weight of a penalty rises after the first epoch. In the tf.function the number of the first trace stays."""

from kit import *

x = groups(120, d=8)[0]
data = Data(x, x)


class Auto(keras.Model):
    def __init__(self):
        super().__init__()
        self.beta = 0.0
        self.e = L.Dense(4, activation="tanh")
        self.d = L.Dense(8)

    def call(self, x):
        h = self.e(x)
        self.add_loss(self.beta * tf.reduce_mean(h**2))
        return self.d(h)


build_model = Auto


def loop(compiled):
    def run(model, data, epochs):
        opt = keras.optimizers.SGD(0.1)
        model(data.x[:1])
        opt.build(model.trainable_variables)

        def step(a, b):
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean((model(a, training=True) - b) ** 2) + sum(model.losses)
            opt.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))

        f = tf.function(step, reduce_retracing=True) if compiled else step
        for e in range(epochs):
            model.beta = 0.0 if e == 0 else 2.0
            for a, b in tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(120).batch(20):
                f(a, b)

    return run


first, second = loop(False), loop(True)
