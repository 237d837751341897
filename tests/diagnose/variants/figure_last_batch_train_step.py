"""A train_step returns the batch's own loss and metric values."""

from kit import *

data = Data(*table(130, d=5))


def kind(track):
    class Net(keras.Model):
        def train_step(self, pair):
            a, b = pair
            with tf.GradientTape() as tape:
                p = self(a, training=True)
                loss = tf.reduce_mean((p - b) ** 2)
            self.optimizer.apply_gradients(zip(tape.gradient(loss, self.trainable_variables), self.trainable_variables))
            if not track:
                return {"loss": loss, "mae": tf.reduce_mean(tf.abs(p - b))}
            self.seen.update_state(loss, sample_weight=tf.shape(a)[0])
            self.mae.update_state(b, p)
            return {"loss": self.seen.result(), "mae": self.mae.result()}

        @property
        def metrics(self):
            return [self.seen, self.mae] if track else []

    def build():
        i = keras.Input((5,))
        m = Net(i, L.Dense(1)(L.Dense(7, activation="relu")(i)))
        if track:
            m.seen, m.mae = keras.metrics.Mean(name="loss"), keras.metrics.MeanAbsoluteError(name="mae")
        return m

    return build


build_model = kind(True)


def train(model, data, epochs):
    model.compile(optimizer=keras.optimizers.RMSprop(0.01))
    return model.fit(data.x, data.y, epochs=epochs, batch_size=26, verbose=0)


first, second = train, Side(train, build_model=kind(False))
