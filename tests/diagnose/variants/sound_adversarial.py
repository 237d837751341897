"""Two networks in one model, trained in turn with two optimizers, as a train_step and as a loop."""

from kit import *

x = groups(120, d=4)[0]
data = Data(x, x)
bce = keras.losses.BinaryCrossentropy(from_logits=True)


class Pair(keras.Model):
    def __init__(self):
        super().__init__()
        self.g = keras.Sequential([keras.Input((4,)), L.Dense(6, activation="relu"), L.Dense(4)])
        self.d = keras.Sequential([keras.Input((4,)), L.Dense(6, activation="relu"), L.Dense(1)])

    def call(self, x):
        return self.d(self.g(x))

    def play(self, a, od, og):
        n = tf.shape(a)[0]
        z = tf.reverse(a, [1])
        with tf.GradientTape() as t:
            ld = bce(tf.ones((n, 1)), self.d(a)) + bce(tf.zeros((n, 1)), self.d(self.g(z)))
        v = self.d.trainable_variables
        od.apply_gradients(zip(t.gradient(ld, v), v))
        with tf.GradientTape() as t:
            lg = bce(tf.ones((n, 1)), self(z))
        v = self.g.trainable_variables
        og.apply_gradients(zip(t.gradient(lg, v), v))
        return ld, lg

    def train_step(self, pair):
        return dict(zip(("d_batch", "g_batch"), self.play(pair[0], self.od, self.og)))


build_model = Pair


def first(model, data, epochs):
    model.od, model.og = keras.optimizers.SGD(0.05), keras.optimizers.Adam(0.01)
    model.compile()
    model.fit(data.x, data.y, epochs=epochs, batch_size=20, verbose=0)


def second(model, data, epochs):
    od, og = keras.optimizers.SGD(0.05), keras.optimizers.Adam(0.01)
    for _ in range(epochs):
        for a, _ in tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(120).batch(20):
            model.play(a, od, og)
