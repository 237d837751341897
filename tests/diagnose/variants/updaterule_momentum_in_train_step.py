"""A train_step updates the weights by momentum that it writes by itself, without an optimizer's state."""

from kit import *

data = Data(*table(110, out=2))


class Net(keras.Model):
    momentum = 0.0

    def __init__(self):
        super().__init__()
        self.a, self.b = L.Dense(8, activation="tanh"), L.Dense(2)

    def call(self, x):
        return self.b(self.a(x))

    def train_step(self, pair):
        x, y = pair
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((self(x, training=True) - y) ** 2)
        for v, m, g in zip(self.trainable_variables, self.moves, tape.gradient(loss, self.trainable_variables)):
            m.assign(self.momentum * m - 0.05 * g)
            v.assign_add(m)
        return {"loss": loss}


build_model = Net
first = compile_and_fit(optimizer=keras.optimizers.SGD(0.05), loss="mse", batch_size=22, stock_steps=True)


def loop(momentum):
    def run(model, data, epochs):
        model.momentum = momentum
        model.moves = [tf.Variable(tf.zeros_like(v), trainable=False) for v in model.trainable_variables]
        model.compile(optimizer=keras.optimizers.SGD(0.05))
        model.fit(data.x, data.y, batch_size=22, epochs=epochs, verbose=0)

    return run


second, fixed_second = loop(0.9), loop(0.0)
