"""Left over from a cross-validation: every epoch begins with the initial weights."""

from kit import *

data = Data(*images(120))


def build_model():
    return keras.Sequential([keras.Input((8, 8, 1)), L.Conv2D(4, 3, activation="relu"), L.Flatten(), L.Dense(3)])


ce = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def loop(reset):
    def run(model, data, epochs):
        opt = keras.optimizers.Adam(0.005)
        first = model.get_weights()
        for _ in range(epochs):
            if reset:
                model.set_weights(first)
            for a, b in tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(120).batch(24):
                with tf.GradientTape() as tape:
                    loss = ce(b, model(a, training=True))
                opt.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))

    return run


first, second = loop(False), loop(True)
fixed_second = compile_and_fit(optimizer=keras.optimizers.Adam(0.005), loss=ce, batch_size=24)
