"""Four micro-batches are added up for one update, and nobody divides by four."""

from kit import *

data = Data(*images(128))


def build_model():
    return keras.Sequential(
        [keras.Input((8, 8, 1)), L.Conv2D(4, 3, activation="relu"), L.Flatten(), L.Dense(3, activation="softmax")]
    )


sce = keras.losses.SparseCategoricalCrossentropy()
first = compile_and_fit(optimizer=keras.optimizers.SGD(0.02, momentum=0.9), loss=sce, batch_size=32)


def loop(share):
    def run(model, data, epochs):
        opt = keras.optimizers.SGD(0.02, momentum=0.9)
        vs = model.trainable_variables
        for _ in range(epochs):
            for a, b in tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(500).batch(32):
                total = None
                for s in range(0, len(a), 8):
                    with tf.GradientTape() as tape:
                        loss = sce(b[s : s + 8], model(a[s : s + 8], training=True)) * share(len(a[s : s + 8]), len(a))
                    g = tape.gradient(loss, vs)
                    total = g if total is None else [p + q for p, q in zip(total, g)]
                opt.apply_gradients(zip(total, vs))

    return run


second, fixed_second = loop(lambda part, whole: 1.0), loop(lambda part, whole: part / whole)
