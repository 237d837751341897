"""The optimizer is made inside the step, so that its momentum never builds up."""

from kit import *

data = Data(*waves(120))


def build_model():
    return keras.Sequential([keras.Input((8, 2)), L.LSTM(5), L.Dense(1)])


make = lambda: keras.optimizers.SGD(0.01, momentum=0.9)
first = compile_and_fit(optimizer=make, loss="mse", batch_size=20)


def loop(each):
    def run(model, data, epochs):
        opt = make()
        mse = keras.losses.MeanSquaredError()
        for _ in range(epochs):
            for a, b in tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(120).batch(20):
                if each:
                    opt = make()
                with tf.GradientTape() as tape:
                    loss = mse(b, model(a, training=True))
                opt.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))

    return run


second, fixed_second = loop(True), loop(False)
