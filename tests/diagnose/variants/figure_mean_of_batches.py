"""The epoch's loss is the mean of the batches' losses, whatever they hold; Conv1D."""

from kit import *

data = Data(*waves(125))


def build_model():
    return keras.Sequential([keras.Input((8, 2)), L.Conv1D(4, 3, activation="relu"), L.Flatten(), L.Dense(1)])


first = compile_and_fit(optimizer=keras.optimizers.SGD(0.02), loss="mae", batch_size=30)


def loop(weigh):
    def run(model, data, epochs):
        opt = keras.optimizers.SGD(0.02)
        mae = keras.losses.MeanAbsoluteError()
        for _ in range(epochs):
            values, sizes = [], []
            for a, b in tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(125).batch(30):
                with tf.GradientTape() as tape:
                    loss = mae(b, model(a, training=True))
                opt.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))
                values.append(float(loss))
                sizes.append(len(a))
        return {"loss": np.average(values, weights=sizes if weigh else None)}

    return run


second, fixed_second = loop(False), loop(True)
