"""One side draws its kernels from a normal distribution of width 1, as old scripts do, and not from Glorot's."""

from kit import *

data = Data(*images(120))
own_start = True


def made(init):
    return lambda: keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            L.Conv2D(4, 3, activation="relu", kernel_initializer=init()),
            L.Flatten(),
            L.Dense(3, activation="softmax", kernel_initializer=init()),
        ]
    )


build_model = made(lambda: "glorot_uniform")


def loop(model, data, epochs):
    opt = keras.optimizers.SGD(0.02)
    sce = keras.losses.SparseCategoricalCrossentropy()
    for _ in range(epochs):
        for a, b in tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(120).batch(24):
            with tf.GradientTape() as tape:
                loss = sce(b, model(a, training=True))
            opt.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))


first, second = loop, Side(loop, build_model=made(lambda: keras.initializers.RandomNormal(stddev=1.0)))
