"""A warm-up counts the updates in a Python number, which a tf.function reads when it is traced."""

from kit import *

data = Data(*table(120))


def build_model():
    return keras.Sequential([keras.Input((5,)), L.Dense(8, activation="relu"), L.LayerNormalization(), L.Dense(1)])


def loop(traced):
    def run(model, data, epochs):
        opt = keras.optimizers.SGD(0.05)
        opt.build(model.trainable_variables)
        done = 0 if traced else tf.Variable(0.0)

        @tf.function
        def step(a, b):
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean((model(a, training=True) - b) ** 2)
            factor = tf.minimum(1.0, (tf.cast(done, tf.float32) + 1) / 8)
            gradients = tape.gradient(loss, model.trainable_variables)
            opt.apply([factor * g for g in gradients], model.trainable_variables)

        for _ in range(epochs):
            for a, b in tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(120).batch(20):
                step(a, b)
                if traced:
                    done += 1
                else:
                    done.assign_add(1.0)

    return run


first, second, fixed_second = loop(False), loop(True), loop(False)
