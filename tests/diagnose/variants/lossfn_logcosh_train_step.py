"""A train_step with log-cosh written out; the other side is compiled with the absolute error."""

from kit import *

data = Data(*table(140, d=5))


class Step(keras.Model):
    def train_step(self, pair):
        a, b = pair
        with tf.GradientTape() as tape:
            e = self(a, training=True) - b
            loss = tf.reduce_mean(e + tf.math.softplus(-2.0 * e) - tf.math.log(2.0))
        self.optimizer.apply_gradients(zip(tape.gradient(loss, self.trainable_variables), self.trainable_variables))
        self.seen.update_state(loss, sample_weight=tf.shape(a)[0])
        return {"loss": self.seen.result()}

    @property
    def metrics(self):
        return [self.seen]


def made(kind):
    def build():
        i = keras.Input((5,))
        m = kind(i, L.Dense(1)(L.Dense(8, activation="swish")(i)))
        if kind is Step:
            m.seen = keras.metrics.Mean(name="loss")
        return m

    return build


build_model = made(keras.Model)
first = compile_and_fit(optimizer=keras.optimizers.Adagrad(0.1), loss="mae", batch_size=20)


def stepped(model, data, epochs):
    model.compile(optimizer=keras.optimizers.Adagrad(0.1))
    return model.fit(data.x, data.y, epochs=epochs, batch_size=20, verbose=0)


second = Side(stepped, build_model=made(Step))
