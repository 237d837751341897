"""The list of variables holds the kernels of the layers; the biases stay as they are."""

from kit import *

x, y = images(125)
data = Data(x, y)


def build_model():
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            L.Conv2D(4, 3, activation="tanh"),
            L.Flatten(),
            L.Dense(6, activation="tanh"),
            L.Dense(3, activation="softmax"),
        ]
    )


sce = keras.losses.SparseCategoricalCrossentropy()


def loop(which):
    def run(model, data, epochs):
        opt = keras.optimizers.SGD(0.1, momentum=0.5)
        vs = which(model)
        for _ in range(epochs):
            for a, b in tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(400).batch(25):
                with tf.GradientTape() as tape:
                    loss = sce(b, model(a, training=True))
                opt.apply_gradients(zip(tape.gradient(loss, vs), vs))

    return run


first = compile_and_fit(optimizer=keras.optimizers.SGD(0.1, momentum=0.5), loss=sce, batch_size=25)
second, fixed_second = (
    loop(lambda m: [l.kernel for l in m.layers if hasattr(l, "kernel")]),
    loop(lambda m: m.trainable_variables),
)
