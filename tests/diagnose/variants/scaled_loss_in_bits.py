"""A language model whose loop reports its loss in bits per token."""

from kit import *

r = np.random.default_rng(6)
s = r.integers(0, 8, (120, 7))
data = Data(s[:, :-1].astype("int32"), s[:, 1:].astype("int32"))


def build_model():
    return keras.Sequential(
        [keras.Input((6,), dtype="int32"), L.Embedding(8, 6), L.GRU(8, return_sequences=True), L.Dense(8)]
    )


ce = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
first = compile_and_fit(optimizer=keras.optimizers.Adam(0.01), loss=ce, batch_size=24)


def loop(unit):
    def run(model, data, epochs):
        opt = keras.optimizers.Adam(0.01)
        opt.build(model.trainable_variables)
        seen = keras.metrics.Mean()

        @tf.function(reduce_retracing=True)
        def step(a, b):
            with tf.GradientTape() as tape:
                loss = ce(b, model(a, training=True))
            opt.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))
            seen.update_state(loss, sample_weight=tf.shape(a)[0])

        for _ in range(epochs):
            seen.reset_state()
            for a, b in tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(120).batch(24):
                step(a, b)
        return {"loss": float(seen.result()) / unit}

    return run


second, fixed_second = loop(np.log(2.0)), loop(1.0)
