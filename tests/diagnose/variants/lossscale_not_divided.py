"""The loss is multiplied by a constant against underflow, and the gradient is never divided by it."""

from kit import *

data = Data(*images(120))


def build_model():
    return keras.Sequential(
        [keras.Input((8, 8, 1)), L.Conv2D(3, 3), L.BatchNormalization(), L.ReLU(), L.Flatten(), L.Dense(3)]
    )


ce = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
first = compile_and_fit(optimizer=keras.optimizers.SGD(0.001), loss=ce, batch_size=24)


def loop(divided):
    def step(model, opt, x, y, w):
        with tf.GradientTape() as tape:
            loss = ce(y, model(x, training=True))
            scaled = 128.0 * loss
        gradients = tape.gradient(scaled, model.trainable_variables)
        if divided:
            gradients = [g / 128.0 for g in gradients]
        opt.apply(gradients, model.trainable_variables)
        return loss

    return steps(step, optimizer=lambda: keras.optimizers.SGD(0.001), batch_size=24)


second, fixed_second = loop(False), loop(True)
