"""The loop keeps shadow weights, a moving average, and leaves them in the model at the end."""

from kit import *

data = Data(*images(120))


def build_model():
    return keras.Sequential(
        [keras.Input((8, 8, 1)), L.Conv2D(4, 3, activation="relu"), L.Flatten(), L.Dense(3, activation="softmax")]
    )


sce = keras.losses.SparseCategoricalCrossentropy()
first = compile_and_fit(optimizer=keras.optimizers.Adam(0.01), loss=sce, batch_size=20)


def loop(swap):
    def run(model, data, epochs):
        opt = keras.optimizers.Adam(0.01)
        shadow = [v.numpy() for v in model.trainable_variables]
        for _ in range(epochs):
            for a, b in tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(120).batch(20):
                with tf.GradientTape() as tape:
                    loss = sce(b, model(a, training=True))
                opt.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))
                shadow = [0.9 * s + 0.1 * v.numpy() for s, v in zip(shadow, model.trainable_variables)]
        if swap:
            for s, v in zip(shadow, model.trainable_variables):
                v.assign(s)

    return run


second, fixed_second = loop(True), loop(False)
