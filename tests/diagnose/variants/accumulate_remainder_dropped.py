"""An update for every four micro-batches; what is left at the end of an epoch is thrown away."""

from kit import *

data = Data(*waves(120))


def build_model():
    return keras.Sequential([keras.Input((8, 2)), L.GRU(5), L.Dense(1)])


def loop(flush):
    def run(model, data, epochs):
        opt = keras.optimizers.Adam(0.02)
        vs = model.trainable_variables
        opt.build(vs)
        for _ in range(epochs):
            order = np.random.permutation(len(data.x))
            total, count, k = [0.0] * len(vs), 0, 0
            for s in range(0, len(order), 8):
                i = order[s : s + 8]
                with tf.GradientTape() as tape:
                    loss = tf.reduce_sum((model(data.x[i], training=True) - data.y[i]) ** 2)
                total = [t + g for t, g in zip(total, tape.gradient(loss, vs))]
                count += len(i)
                k += 1
                if k == 4:
                    opt.apply_gradients([(t / count, v) for t, v in zip(total, vs)])
                    total, count, k = [0.0] * len(vs), 0, 0
            if flush and k:
                opt.apply_gradients([(t / count, v) for t, v in zip(total, vs)])

    return run


first, second = loop(True), loop(False)
fixed_second = compile_and_fit(optimizer=keras.optimizers.Adam(0.02), loss="mse", batch_size=32)
