"""A train_step keeps gradients in slots (for a later accumulation), applies them at once, and one version does not set them back to zero."""

from kit import *

x, y = table(125, d=6)
data = Data(x, y)


def kind(clear):
    class Slots(keras.Model):
        def train_step(self, pair):
            a, b = pair
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(tf.abs(self(a, training=True) - b))
            for s, g in zip(self.slots, tape.gradient(loss, self.trainable_variables)):
                s.assign_add(g)
            self.optimizer.apply_gradients([(s.read_value(), v) for s, v in zip(self.slots, self.trainable_variables)])
            if clear:
                for s in self.slots:
                    s.assign(tf.zeros_like(s))
            return {"last": loss}

    def build():
        i = keras.Input((6,))
        m = Slots(i, L.Dense(1)(L.LayerNormalization()(L.Dense(8, activation="tanh")(i))))
        m.slots = [tf.Variable(tf.zeros(v.shape), trainable=False) for v in m.trainable_variables]
        return m

    return build


build_model = kind(True)


def train(model, data, epochs):
    model.compile(optimizer=keras.optimizers.SGD(0.01))
    model.fit(data.x, data.y, epochs=epochs, batch_size=25, verbose=0)


first, second = train, Side(train, build_model=kind(False))
