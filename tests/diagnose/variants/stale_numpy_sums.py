"""Gradients are added to arrays that are never cleared; Adam."""

from kit import *

data = Data(*images(120, ch=2))


def build_model():
    return keras.Sequential(
        [
            keras.Input((8, 8, 2)),
            L.Conv2D(3, 3, activation="relu"),
            L.GlobalAveragePooling2D(),
            L.Dense(3, activation="softmax"),
        ]
    )


sce = keras.losses.SparseCategoricalCrossentropy()


def loop(clear):
    def run(model, data, epochs):
        opt = keras.optimizers.Adam(0.02)
        vs = model.trainable_variables
        kept = [np.zeros(v.shape, "float32") for v in vs]
        for _ in range(epochs):
            for a, b in tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(120).batch(20):
                with tf.GradientTape() as tape:
                    loss = sce(b, model(a, training=True))
                for k, g in zip(kept, tape.gradient(loss, vs)):
                    k += g.numpy()
                opt.apply_gradients([(tf.constant(k), v) for k, v in zip(kept, vs)])
                if clear:
                    for k in kept:
                        k[:] = 0

    return run


first, second = loop(True), loop(False)
fixed_second = compile_and_fit(optimizer=keras.optimizers.Adam(0.02), loss=sce, batch_size=20)
