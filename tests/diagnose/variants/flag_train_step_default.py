"""A train_step calls the model without a flag, so its Dropout and BatchNormalization stay in inference mode."""

from kit import *

data = Data(*images(120))


class Net(keras.Model):
    def __init__(self):
        super().__init__()
        self.a, self.n = L.Conv2D(4, 3, activation="relu"), L.BatchNormalization()
        self.f, self.d, self.o = L.Flatten(), L.Dropout(0.4), L.Dense(3)

    def call(self, x, training=False):
        return self.o(self.d(self.f(self.n(self.a(x), training=training)), training=training))


build_model = Net
ce = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
first = compile_and_fit(optimizer=keras.optimizers.Adam(0.01), loss=ce, batch_size=24)


def loop(**flag):
    class Outer(keras.Model):
        def __init__(self, net):
            super().__init__()
            self.net = net

        def call(self, x, training=False):
            return self.net(x, training=training)

        def train_step(self, pair):
            x, y = pair
            with tf.GradientTape() as tape:
                loss = ce(y, self.net(x, **flag))
            self.optimizer.apply(tape.gradient(loss, self.net.trainable_variables), self.net.trainable_variables)
            return {"loss": loss}

    def run(model, data, epochs):
        outer = Outer(model)
        outer.compile(optimizer=keras.optimizers.Adam(0.01))
        outer.fit(data.x, data.y, batch_size=24, epochs=epochs, verbose=0)

    return run


second, fixed_second = loop(), loop(training=True)
