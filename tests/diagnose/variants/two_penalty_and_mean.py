"""The penalty is not in the loop's loss, and the epoch's loss is a plain mean of batches of different sizes."""

from kit import *

data = Data(*images(125))


def build_model():
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            L.Conv2D(4, 3, activation="relu", kernel_regularizer=keras.regularizers.L2(0.05)),
            L.Flatten(),
            L.Dense(3, kernel_regularizer=keras.regularizers.L2(0.05)),
        ]
    )


ce = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
first = compile_and_fit(optimizer=keras.optimizers.SGD(0.05), loss=ce, batch_size=30)


def loop(penalty, weigh):
    def run(model, data, epochs):
        opt = keras.optimizers.SGD(0.05)
        for _ in range(epochs):
            values, sizes = [], []
            for a, b in tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(125).batch(30):
                with tf.GradientTape() as tape:
                    loss = ce(b, model(a, training=True)) + (sum(model.losses) if penalty else 0.0)
                opt.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))
                values.append(float(loss))
                sizes.append(len(a))
        return {"loss": np.average(values, weights=sizes if weigh else None)}

    return run


second, halves, fixed_second = loop(False, False), (loop(False, True), loop(True, False)), loop(True, True)
