"""The loop trains with the kernels' penalty and reports the loss without it."""

from kit import *

data = Data(*images(120))


def build_model():
    l2 = lambda: keras.regularizers.L2(0.01)
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            L.Conv2D(4, 3, activation="relu", kernel_regularizer=l2()),
            L.Flatten(),
            L.Dense(3, kernel_regularizer=l2()),
        ]
    )


ce = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
first = compile_and_fit(optimizer=keras.optimizers.SGD(0.03), loss=ce, batch_size=24)


def loop(whole):
    def run(model, data, epochs):
        opt = keras.optimizers.SGD(0.03)
        for _ in range(epochs):
            seen = keras.metrics.Mean()
            for a, b in tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(120).batch(24):
                with tf.GradientTape() as tape:
                    plain = ce(b, model(a, training=True))
                    loss = plain + tf.add_n(model.losses)
                opt.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))
                seen.update_state(loss if whole else plain, sample_weight=len(a))
        return {"loss": seen.result()}

    return run


second, fixed_second = loop(False), loop(True)
