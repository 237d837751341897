"""The validation pass of the loop keeps dropout on."""

from kit import *

x, y = table(155, d=6)
data = Data(x[:120], y[:120], validation=Data(x[120:], y[120:]))


def build_model():
    return keras.Sequential([keras.Input((6,)), L.Dense(16, activation="relu"), L.Dropout(0.5), L.Dense(1)])


first = compile_and_fit(optimizer=keras.optimizers.SGD(0.05), loss="mse", batch_size=20)


def loop(flag):
    def run(model, data, epochs):
        opt = keras.optimizers.SGD(0.05)
        mse = keras.losses.MeanSquaredError()
        v = data.validation
        for e in range(epochs):
            for a, b in tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(120).batch(20):
                with tf.GradientTape() as tape:
                    loss = mse(b, model(a, training=True))
                opt.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))
            if e == epochs - 1:
                val = mse(v.y, model(v.x, training=flag))
        return {"val_loss": val}

    return run


second, fixed_second = loop(True), loop(False)
