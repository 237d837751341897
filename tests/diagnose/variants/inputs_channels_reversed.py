"""The loop reads images as BGR and the other side as RGB; a depthwise convolution."""

from kit import *

data = Data(*images(120, ch=3))


def build_model():
    return keras.Sequential(
        [keras.Input((8, 8, 3)), L.SeparableConv2D(4, 3, activation="relu"), L.Flatten(), L.Dense(3)]
    )


ce = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
first = compile_and_fit(optimizer=keras.optimizers.Adam(0.01), loss=ce, batch_size=25)


def loop(read):
    @tf.function
    def step(model, opt, x, y):
        with tf.GradientTape() as tape:
            loss = ce(y, model(read(x), training=True))
        opt.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        return loss

    return steps(lambda m, o, x, y, w: step(m, o, x, y), optimizer=lambda: keras.optimizers.Adam(0.01), batch_size=25)


second, fixed_second = loop(lambda x: tf.reverse(x, [-1])), loop(lambda x: x)
