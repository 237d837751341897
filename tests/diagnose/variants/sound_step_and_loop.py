"""A train_step by compute_loss, with BatchNormalization, Dropout and a validation set, against an eager loop."""

from kit import *

x, y = images(155, ch=2)
data = Data(x[:120], y[:120], validation=Data(x[120:], y[120:]))


class Net(keras.Model):
    def __init__(self):
        super().__init__()
        self.c = L.Conv2D(4, 3, use_bias=False)
        self.n = L.BatchNormalization(momentum=0.8)
        self.f = L.Flatten()
        self.d = L.Dropout(0.25)
        self.o = L.Dense(3)

    def call(self, x, training=False):
        return self.o(self.d(self.f(tf.nn.relu(self.n(self.c(x), training=training))), training=training))

    def train_step(self, pair):
        a, b = pair
        with tf.GradientTape() as tape:
            z = self(a, training=True)
            loss = self.compute_loss(x=a, y=b, y_pred=z)
        self.optimizer.apply(tape.gradient(loss, self.trainable_variables), self.trainable_variables)
        for m in self.metrics:
            m.update_state(loss, sample_weight=tf.shape(a)[0]) if m.name == "loss" else m.update_state(b, z)
        return {m.name: m.result() for m in self.metrics}


build_model = Net
ce = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def first(model, data, epochs):
    model.compile(optimizer=keras.optimizers.SGD(0.05), loss=ce)
    v = data.validation
    return model.fit(data.x, data.y, validation_data=(v.x, v.y), epochs=epochs, batch_size=24, verbose=0)


def second(model, data, epochs):
    opt = keras.optimizers.SGD(0.05)
    v = data.validation
    for _ in range(epochs):
        seen = keras.metrics.Mean()
        vseen = keras.metrics.Mean()
        for a, b in tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(120).batch(24):
            with tf.GradientTape() as tape:
                loss = ce(b, model(a, training=True))
            opt.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))
            seen.update_state(loss, sample_weight=len(a))
        for a, b in tf.data.Dataset.from_tensor_slices((v.x, v.y)).batch(24):
            vseen.update_state(ce(b, model(a, training=False)), sample_weight=len(a))
    return {"loss": seen.result(), "val_loss": vseen.result()}
