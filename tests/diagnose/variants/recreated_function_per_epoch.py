"""An epoch is a function that makes its own Adam and its own compiled step."""

from kit import *

x, n = tokens(115)
data = Data(x, (x.sum(1) > 25).astype("int32"))


class Bag(keras.Model):
    def __init__(self):
        super().__init__()
        self.e = L.Embedding(12, 6)
        self.d = L.Dense(8, activation="relu")
        self.o = L.Dense(2)

    def call(self, x):
        return self.o(self.d(tf.reduce_max(self.e(x), 1)))


build_model = Bag
ce = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def epoch(model, data, opt):
    opt.build(model.trainable_variables)
    seen = keras.metrics.Mean()

    @tf.function(reduce_retracing=True)
    def step(a, b):
        with tf.GradientTape() as tape:
            loss = ce(b, model(a, training=True))
        opt.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        return loss

    for a, b in tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(300).batch(23):
        seen.update_state(step(a, b), sample_weight=len(a))
    return float(seen.result())


def loop(keep):
    def run(model, data, epochs):
        model(data.x[:2])
        opt = keras.optimizers.Adam(0.01)
        for _ in range(epochs):
            value = epoch(model, data, opt if keep else keras.optimizers.Adam.from_config(opt.get_config()))
        return {"loss": value}

    return run


first, second = loop(True), loop(False)
fixed_second = compile_and_fit(optimizer=keras.optimizers.Adam(0.01), loss=ce, batch_size=23)
