"""A variational autoencoder with its own train_step, as in the Keras example."""

from kit import *

x, _ = digits(800)
data = Data(x.reshape(-1, 64))


class Sampling(L.Layer):
    def __init__(self):
        super().__init__()
        self.seeds = keras.random.SeedGenerator(1)

    def call(self, inputs):
        mean, log_variance = inputs
        noise = keras.random.normal(keras.ops.shape(mean), seed=self.seeds)
        return mean + keras.ops.exp(0.5 * log_variance) * noise


class VAE(keras.Model):
    def __init__(self):
        super().__init__()
        self.hidden, self.mean, self.log_variance = L.Dense(32, activation="relu"), L.Dense(4), L.Dense(4)
        self.sample = Sampling()
        self.decoder = keras.Sequential([L.Dense(32, activation="relu"), L.Dense(64, activation="sigmoid")])
        self.tracker = keras.metrics.Mean(name="loss")

    @property
    def metrics(self):
        return [self.tracker]

    def encode(self, inputs):
        hidden = self.hidden(inputs)
        return self.mean(hidden), self.log_variance(hidden)

    def call(self, inputs):
        return self.decoder(self.encode(inputs)[0])

    def train_step(self, batch):
        inputs = batch[0] if isinstance(batch, tuple) else batch
        with tf.GradientTape() as tape:
            mean, log_variance = self.encode(inputs)
            found = self.decoder(self.sample((mean, log_variance)))
            picture = tf.reduce_mean(
                tf.reduce_sum(keras.losses.binary_crossentropy(inputs[..., None], found[..., None]), -1)
            )
            spread = -0.5 * (1 + log_variance - tf.square(mean) - tf.exp(log_variance))
            loss = picture + tf.reduce_mean(tf.reduce_sum(spread, 1))
        self.optimizer.apply_gradients(zip(tape.gradient(loss, self.trainable_weights), self.trainable_weights))
        self.tracker.update_state(loss)
        return {"loss": self.tracker.result()}


def build_model():
    model = VAE()
    model(np.zeros((1, 64), "float32"))
    return model


def loop(model, data, epochs=15):
    model.compile(optimizer=keras.optimizers.Adam(0.003))
    return model.fit(data.x, epochs=epochs, batch_size=32, verbose=0)
