"""Every micro-batch adds the whole penalty; three of them make an update."""

from kit import *

data = Data(*groups(120))


def build_model():
    l2 = keras.regularizers.L2(0.05)
    return keras.Sequential([keras.Input((6,)), L.Dense(9, activation="tanh", kernel_regularizer=l2), L.Dense(3)])


ce = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
first = compile_and_fit(optimizer=keras.optimizers.SGD(0.05), loss=ce, batch_size=24)


def loop(share):
    def run(model, data, epochs):
        opt, vs = keras.optimizers.SGD(0.05), model.trainable_variables
        for _ in range(epochs):
            for a, b in tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(120).batch(24):
                total = [tf.zeros_like(v) for v in vs]
                for k in range(0, len(a), 8):
                    with tf.GradientTape() as tape:
                        part = ce(b[k : k + 8], model(a[k : k + 8], training=True)) * (len(a[k : k + 8]) / len(a))
                        loss = part + tf.add_n(model.losses) * (len(a[k : k + 8]) / len(a) if share else 1.0)
                    total = [s + g for s, g in zip(total, tape.gradient(loss, vs))]
                opt.apply(total, vs)

    return run


second, fixed_second = loop(False), loop(True)
