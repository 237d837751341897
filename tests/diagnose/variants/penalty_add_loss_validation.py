"""A layer adds a loss; both figures of the loop, of training and of validation, leave it out."""

from kit import *

x, y = table(155, d=6)
data = Data(x[:120], y[:120], validation=Data(x[120:], y[120:]))


class Spread(L.Layer):
    def call(self, h):
        self.add_loss(0.05 * keras.ops.mean(keras.ops.square(h)))
        return h


def build_model():
    return keras.Sequential([keras.Input((6,)), L.Dense(8, activation="relu"), Spread(), L.Dense(1)])


first = compile_and_fit(optimizer=keras.optimizers.RMSprop(0.01), loss="mae", batch_size=120)


def loop(whole):
    def run(model, data, epochs):
        opt = keras.optimizers.RMSprop(0.01)
        mae = keras.losses.MeanAbsoluteError()
        v = data.validation
        for _ in range(epochs):
            seen = keras.metrics.Mean()
            for a, b in tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(120).batch(120):
                with tf.GradientTape() as tape:
                    plain = mae(b, model(a, training=True))
                    loss = plain + model.losses[0]
                opt.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))
                seen.update_state(loss if whole else plain, sample_weight=len(a))
            val = mae(v.y, model(v.x, training=False))
            val = val + model.losses[0] if whole else val
        return {"loss": seen.result(), "val_loss": val}

    return run


second, fixed_second = loop(False), loop(True)
