"""Two towers for two inputs; the loop stops the gradient behind one of them."""

from kit import *

x, y = table(120, d=8)
data = Data((x[:, :3], x[:, 3:]), y)


class Towers(keras.Model):
    def __init__(self):
        super().__init__()
        self.left, self.right = L.Dense(5, activation="relu"), L.Dense(5, activation="relu")
        self.top = L.Dense(1)

    def call(self, x):
        return self.top(tf.concat([self.left(x[0]), self.right(x[1])], -1))


build_model = Towers
first = compile_and_fit(optimizer=keras.optimizers.Adam(0.01), loss="mse", batch_size=24)


def loop(hold):
    def run(model, data, epochs):
        opt = keras.optimizers.Adam(0.01)
        opt.build(model.trainable_variables)
        mse = keras.losses.MeanSquaredError()
        for _ in range(epochs):
            seen = keras.metrics.Mean()
            for (a, b), c in tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(200).batch(24):
                with tf.GradientTape() as tape:
                    loss = mse(c, model.top(tf.concat([hold(model.left(a)), model.right(b)], -1)))
                opt.apply_gradients(
                    [
                        (g, v)
                        for g, v in zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
                        if g is not None
                    ]
                )
                seen.update_state(loss, sample_weight=len(a))
        return {"loss": seen.result()}

    return run


second, fixed_second = loop(tf.stop_gradient), loop(lambda h: h)
