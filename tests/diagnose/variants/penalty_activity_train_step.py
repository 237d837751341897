"""An activity penalty of a recurrent layer: the train_step minimizes it and tracks the plain error."""

from kit import *

data = Data(*waves(120))


def kind(whole):
    class Net(keras.Model):
        def train_step(self, pair):
            a, b = pair
            with tf.GradientTape() as tape:
                plain = tf.reduce_mean((self(a, training=True) - b) ** 2)
                loss = plain + sum(self.losses)
            self.optimizer.apply_gradients(zip(tape.gradient(loss, self.trainable_variables), self.trainable_variables))
            self.seen.update_state(loss if whole else plain, sample_weight=tf.shape(a)[0])
            return {"loss": self.seen.result()}

        @property
        def metrics(self):
            return [self.seen]

    def build():
        i = keras.Input((8, 2))
        m = Net(i, L.Dense(1)(L.GRU(5, activity_regularizer=keras.regularizers.L1(0.05))(i)))
        m.seen = keras.metrics.Mean(name="loss")
        return m

    return build


build_model = kind(True)


def train(model, data, epochs):
    model.compile(optimizer=keras.optimizers.Adam(0.01))
    return model.fit(data.x, data.y, epochs=epochs, batch_size=20, verbose=0)


first, second = train, Side(train, build_model=kind(False))
