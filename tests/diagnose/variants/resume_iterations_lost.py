"""A hand-made checkpoint holds the weights and the velocities, not the iteration count: the decay begins from the start."""

from kit import *

data = Data(*table(120))


def build_model():
    return keras.Sequential([keras.Input((5,)), L.Dense(8, activation="tanh"), L.Dense(1)])


def loop(keep):
    def run(model, data, epochs):
        make = lambda: keras.optimizers.SGD(keras.optimizers.schedules.PolynomialDecay(0.2, 15, 0.001), momentum=0.7)
        mse = keras.losses.MeanSquaredError()
        opt = make()
        opt.build(model.trainable_variables)
        for e in range(epochs):
            if e:
                saved = [v.numpy() for v in opt.variables]
                opt = make()
                opt.build(model.trainable_variables)
                for v, s in zip(opt.variables, saved):
                    if keep or "iteration" not in v.path:
                        v.assign(s)
            for a, b in tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(120).batch(20):
                with tf.GradientTape() as tape:
                    loss = mse(b, model(a, training=True))
                opt.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))

    return run


second, fixed_second = loop(False), loop(True)
first = compile_and_fit(
    optimizer=lambda: keras.optimizers.SGD(keras.optimizers.schedules.PolynomialDecay(0.2, 15, 0.001), momentum=0.7),
    loss="mse",
    batch_size=20,
)
