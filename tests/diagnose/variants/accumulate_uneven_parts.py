"""A batch of 20 in parts of 8, 8 and 4, each a mean; their plain mean counts the last part twice. A custom train_step."""

from kit import *

data = Data(*table(120))


def kind(right):
    class Parts(keras.Model):
        def train_step(self, pair):
            a, b = pair
            n = tf.shape(a)[0]
            grads = None
            losses = []
            for s in (0, 8, 16):
                p, q = a[s : s + 8], b[s : s + 8]
                share = tf.cast(tf.shape(p)[0], tf.float32) / tf.cast(n, tf.float32) if right else 1 / 3
                with tf.GradientTape() as tape:
                    loss = share * tf.math.divide_no_nan(
                        tf.reduce_sum((self(p, training=True) - q) ** 2), tf.cast(tf.size(q), tf.float32)
                    )
                g = tape.gradient(loss, self.trainable_variables)
                grads = g if grads is None else [u + v for u, v in zip(grads, g)]
                losses.append(loss)
            self.optimizer.apply_gradients(zip(grads, self.trainable_variables))
            return {"batch_loss": tf.add_n(losses)}

    def build():
        i = keras.Input((5,))
        return Parts(i, L.Dense(1)(L.Dense(8, activation="relu")(i)))

    return build


build_model = kind(True)


def train(model, data, epochs):
    model.compile(optimizer=keras.optimizers.SGD(0.05))
    model.fit(data.x, data.y, epochs=epochs, batch_size=20, verbose=0)


first, second = train, Side(train, build_model=kind(False))
fixed_second = compile_and_fit(optimizer=keras.optimizers.SGD(0.05), loss="mse", batch_size=20, stock_steps=True)
