"""A LossScaleOptimizer divides the gradients by its scale; the loop never multiplied the loss by it."""

from kit import *

data = Data(*groups(120))


def build_model():
    return keras.Sequential([keras.Input((6,)), L.Dense(8, activation="relu"), L.Dense(3)])


ce = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def loop(scaled):
    def run(model, data, epochs):
        opt = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.2), initial_scale=256.0)
        opt.build(model.trainable_variables)
        for _ in range(epochs):
            for a, b in tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(120).batch(20):
                with tf.GradientTape() as tape:
                    loss = ce(b, model(a, training=True))
                    if scaled:
                        loss = opt.scale_loss(loss)
                opt.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))

    return run


first, second = loop(True), loop(False)
fixed_second = compile_and_fit(optimizer=keras.optimizers.SGD(0.2), loss=ce, batch_size=20)
