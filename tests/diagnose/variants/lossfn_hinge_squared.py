"""Margins by hand: max(0, 1 - yp) on one side, its square on the other. A subclassed model, SGD by assign_sub."""

from kit import *

x, y = groups(130, classes=2)
data = Data(x, (2.0 * y[:, None] - 1).astype("float32"))


class Margin(keras.Model):
    def __init__(self):
        super().__init__()
        self.one = L.Dense(9, activation="tanh")
        self.two = L.Dense(1)

    def call(self, x):
        return self.two(self.one(x))


build_model = Margin


def loop(power):
    def run(model, data, epochs):
        for _ in range(epochs):
            order = np.random.permutation(len(data.x))
            total = 0.0
            for s in range(0, len(order), 26):
                i = order[s : s + 26]
                with tf.GradientTape() as tape:
                    loss = tf.reduce_mean(tf.maximum(0.0, 1.0 - data.y[i] * model(data.x[i], training=True)) ** power)
                for v, g in zip(model.trainable_variables, tape.gradient(loss, model.trainable_variables)):
                    v.assign_sub(0.05 * g)
                total += float(loss) * len(i)
        return {"loss": total / len(order)}

    return run


first, second = loop(1), loop(2)
fixed_second = compile_and_fit(optimizer=keras.optimizers.SGD(0.05), loss="hinge", batch_size=26)
