"""Adam with epsilon 0.1, as some tutorials for images have it, against Keras's default."""

from kit import *

data = Data(*images(120))


def build_model():
    return keras.Sequential([keras.Input((8, 8, 1)), L.Conv2D(4, 3, activation="relu"), L.Flatten(), L.Dense(3)])


ce = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
first = compile_and_fit(optimizer=keras.optimizers.Adam(0.01), loss=ce, batch_size=24)


def loop(epsilon):
    def run(model, data, epochs):
        opt = keras.optimizers.Adam(0.01, epsilon=epsilon)
        for _ in range(epochs):
            for a, b in tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(120).batch(24):
                with tf.GradientTape() as tape:
                    loss = ce(b, model(a, training=True))
                opt.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))

    return run


second, fixed_second = loop(0.1), loop(1e-7)
