"""A second optimizer trains the head at a tenth of the rate."""

from kit import *

data = Data(*groups(120))


def build_model():
    return keras.Sequential([keras.Input((6,)), L.Dense(9, activation="relu"), L.Dense(3)])


ce = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
first = compile_and_fit(optimizer=keras.optimizers.Adam(0.01), loss=ce, batch_size=24)


def loop(rate):
    def run(model, data, epochs):
        body, head = keras.optimizers.Adam(0.01), keras.optimizers.Adam(rate)
        for _ in range(epochs):
            for a, b in tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(120).batch(24):
                with tf.GradientTape() as tape:
                    loss = ce(b, model(a, training=True))
                gradients = tape.gradient(loss, model.trainable_variables)
                body.apply(gradients[:2], model.trainable_variables[:2])
                head.apply(gradients[2:], model.trainable_variables[2:])

    return run


second, fixed_second = loop(0.001), loop(0.01)
