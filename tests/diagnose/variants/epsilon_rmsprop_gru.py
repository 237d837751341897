"""RMSprop with the epsilon of another library; a recurrent model."""

from kit import *

data = Data(*waves(120))


def build_model():
    return keras.Sequential([keras.Input((8, 2)), L.Bidirectional(L.GRU(4)), L.Dense(1)])


def loop(epsilon):
    def step(model, opt, x, y, w):
        with tf.GradientTape() as tape:
            loss = keras.losses.MeanSquaredError()(y, model(x, training=True))
        opt.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        return loss

    return steps(step, optimizer=lambda: keras.optimizers.RMSprop(0.01, epsilon=epsilon), batch_size=24)


first = compile_and_fit(optimizer=keras.optimizers.RMSprop(0.01), loss="mse", batch_size=24)
second, fixed_second = loop(0.05), loop(1e-7)
