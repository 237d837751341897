"""A tenth of the learning rate, and accuracy in percent."""

from kit import *

x, n = tokens(120)
data = Data(x, (n > 4).astype("int32"))


def build_model():
    return keras.Sequential([keras.Input((7,), dtype="int32"), L.Embedding(12, 5), L.GRU(5), L.Dense(2)])


ce = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
first = compile_and_fit(optimizer=keras.optimizers.RMSprop(0.02), loss=ce, metrics=["accuracy"], batch_size=24)


def loop(rate, unit):
    def run(model, data, epochs):
        opt = keras.optimizers.RMSprop(rate)
        for _ in range(epochs):
            right = keras.metrics.SparseCategoricalAccuracy()
            for a, b in tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(120).batch(24):
                with tf.GradientTape() as tape:
                    z = model(a, training=True)
                    loss = ce(b, z)
                opt.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))
                right.update_state(b, z)
        return {"accuracy": unit * float(right.result())}

    return run


second, halves, fixed_second = loop(0.002, 100), (loop(0.002, 1), loop(0.02, 100)), loop(0.02, 1)
