"""Noise on the hidden features by stateless_normal: one seed for all steps, against a seed for each step."""

from kit import *

data = Data(*groups(120))


def build_model():
    return keras.Sequential([keras.Input((6,)), L.Dense(10, activation="relu"), L.Dense(3)])


ce = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def loop(seed):
    def run(model, data, epochs):
        opt = keras.optimizers.SGD(0.1)
        k = 0
        one, two = model.layers
        for _ in range(epochs):
            for a, b in tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(120).batch(20):
                with tf.GradientTape() as tape:
                    h = one(a)
                    h = h + 0.7 * tf.random.stateless_normal(tf.shape(h), seed=(17, seed(k)))
                    loss = ce(b, two(h))
                opt.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))
                k += 1

    return run


first, second = loop(lambda k: k), loop(lambda k: 0)
