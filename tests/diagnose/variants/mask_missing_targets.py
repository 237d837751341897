"""Two targets with gaps (marked -99). One train_step divides by the number of known targets, the other by all of them."""

from kit import *

x, y = table(132, d=5, out=2)
y[np.random.default_rng(3).random(y.shape) < 0.35] = -99
data = Data(x, y)


def kind(known_only):
    class Gaps(keras.Model):
        def train_step(self, pair):
            a, b = pair
            keep = tf.cast(b > -90, tf.float32)
            with tf.GradientTape() as tape:
                e = tf.reduce_sum(keep * (b - self(a, training=True)) ** 2)
                loss = e / (tf.reduce_sum(keep) if known_only else tf.cast(tf.size(b), tf.float32))
            self.optimizer.apply_gradients(zip(tape.gradient(loss, self.trainable_variables), self.trainable_variables))
            self.seen.update_state(loss, sample_weight=tf.shape(a)[0])
            return {"loss": self.seen.result()}

        @property
        def metrics(self):
            return [self.seen]

    def build():
        i = keras.Input((5,))
        m = Gaps(i, L.Dense(2)(L.Dense(10, activation="softplus")(i)))
        m.seen = keras.metrics.Mean(name="loss")
        return m

    return build


build_model = kind(True)


def train(model, data, epochs):
    model.compile(optimizer=keras.optimizers.SGD(0.1))
    return model.fit(data.x, data.y, epochs=epochs, batch_size=22, verbose=0)


first, second = train, Side(train, build_model=kind(False))
