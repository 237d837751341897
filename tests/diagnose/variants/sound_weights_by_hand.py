"""Sample weights: fit gets them, the loop multiplies and divides by the number of rows; clipping by the global norm by hand."""

from kit import *

x, y = table(120, d=5)
data = Data(x, y, sample_weight=np.random.default_rng(3).uniform(0.2, 3, 120).astype("float32"))


class Net(keras.Model):
    def __init__(self):
        super().__init__()
        self.a = L.Dense(8, activation="softplus")
        self.b = L.Dense(1)

    def call(self, x):
        return self.b(self.a(x))


build_model = Net
first = compile_and_fit(optimizer=keras.optimizers.SGD(0.1, global_clipnorm=0.8), loss="mse", batch_size=24)


def second(model, data, epochs):
    opt = keras.optimizers.SGD(0.1)
    for _ in range(epochs):
        for a, b, w in tf.data.Dataset.from_tensor_slices((data.x, data.y, data.sample_weight)).shuffle(120).batch(24):
            with tf.GradientTape() as tape:
                loss = tf.reduce_sum(w * (model(a, training=True) - b)[:, 0] ** 2) / len(a)
            g, _ = tf.clip_by_global_norm(tape.gradient(loss, model.trainable_variables), 0.8)
            opt.apply_gradients(zip(g, model.trainable_variables))
