"""A generative adversarial network on points of a ring: two optimizers in a train_step."""

from kit import *

data = Data(rings(800)[0])


class GAN(keras.Model):
    def __init__(self):
        super().__init__()
        self.discriminator = keras.Sequential([keras.Input((2,)), L.Dense(24), L.LeakyReLU(0.2), L.Dense(1)])
        self.generator = keras.Sequential([keras.Input((4,)), L.Dense(24, activation="relu"), L.Dense(2)])
        self.seeds = keras.random.SeedGenerator(5)
        self.d_loss, self.g_loss = keras.metrics.Mean(name="d_loss"), keras.metrics.Mean(name="g_loss")

    def compile(self, d_optimizer, g_optimizer):
        super().compile()
        self.d_optimizer, self.g_optimizer = d_optimizer, g_optimizer
        self.crossentropy = keras.losses.BinaryCrossentropy(from_logits=True)

    @property
    def metrics(self):
        return [self.d_loss, self.g_loss]

    def call(self, points):
        return self.discriminator(points)

    def train_step(self, batch):
        points = batch[0] if isinstance(batch, tuple) else batch
        n = tf.shape(points)[0]
        fake = self.generator(keras.random.normal((n, 4), seed=self.seeds))
        labels = tf.concat([tf.zeros((n, 1)), tf.ones((n, 1))], 0)
        with tf.GradientTape() as tape:
            d_loss = self.crossentropy(labels, self.discriminator(tf.concat([points, fake], 0)))
        weights = self.discriminator.trainable_weights
        self.d_optimizer.apply_gradients(zip(tape.gradient(d_loss, weights), weights))
        with tf.GradientTape() as tape:
            fake = self.generator(keras.random.normal((n, 4), seed=self.seeds))
            g_loss = self.crossentropy(tf.zeros((n, 1)), self.discriminator(fake))
        weights = self.generator.trainable_weights
        self.g_optimizer.apply_gradients(zip(tape.gradient(g_loss, weights), weights))
        self.d_loss.update_state(d_loss)
        self.g_loss.update_state(g_loss)
        return {"d_loss": self.d_loss.result(), "g_loss": self.g_loss.result()}


def build_model():
    return GAN()


def loop(model, data, epochs=10):
    model.compile(keras.optimizers.Adam(0.001), keras.optimizers.Adam(0.001))
    return model.fit(data.x, epochs=epochs, batch_size=32, verbose=0)
