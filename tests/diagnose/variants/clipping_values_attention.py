"""The loop clips every value of the gradient; the other side clips nothing."""

from kit import *

data = Data(*waves(110))


def build_model():
    inputs = keras.Input((8, 2))
    h = L.Dense(6)(inputs)
    h = L.LayerNormalization()(h + L.MultiHeadAttention(2, 3)(h, h))
    return keras.Model(inputs, L.Dense(1)(L.Flatten()(h)))


def loop(limit):
    def run(model, data, epochs):
        opt = keras.optimizers.SGD(0.03, momentum=0.8)
        for _ in range(epochs):
            for a, b in tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(110).batch(22):
                with tf.GradientTape() as tape:
                    loss = tf.reduce_mean(tf.square(model(a, training=True) - b))
                gradients = tape.gradient(loss, model.trainable_variables)
                gradients = [tf.clip_by_value(g, -limit, limit) for g in gradients]
                opt.apply_gradients(zip(gradients, model.trainable_variables))

    return run


first, second, fixed_second = loop(1e9), loop(0.01), loop(1e9)
