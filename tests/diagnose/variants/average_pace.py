"""Both sides keep an exponential moving average; one moves it after every update, the other after every epoch."""

from kit import *

data = Data(*groups(120))


class Net(keras.Model):
    def __init__(self):
        super().__init__()
        self.a = L.Dense(8, activation="relu")
        self.b = L.Dense(3)

    def call(self, x):
        return self.b(self.a(x))


build_model = Net
ce = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def loop(every_update):
    def run(model, data, epochs):
        opt = keras.optimizers.SGD(0.1)
        model(data.x[:1])
        mean = [tf.identity(v) for v in model.trainable_variables]

        def move():
            for k, v in enumerate(model.trainable_variables):
                mean[k] = 0.8 * mean[k] + 0.2 * v

        for _ in range(epochs):
            for a, b in tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(120).batch(24):
                with tf.GradientTape() as tape:
                    loss = ce(b, model(a, training=True))
                opt.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))
                if every_update:
                    move()
            if not every_update:
                move()
        for m, v in zip(mean, model.trainable_variables):
            v.assign(m)

    return run


first, second = loop(True), loop(False)
