"""The labels of one of two heads lack the last axis."""

from kit import *

x, y = table(120)
data = Data(x, {"sum": y[:, 0], "first": x[:, :1]})


def build_model():
    inputs = keras.Input((5,))
    h = L.Dense(8, activation="tanh")(inputs)
    return keras.Model(inputs, {"sum": L.Dense(1, name="sum")(h), "first": L.Dense(1, name="first")(h)})


first = compile_and_fit(optimizer=keras.optimizers.Adam(0.01), loss={"sum": "mse", "first": "mse"}, batch_size=24)


def loop(column):
    def step(model, opt, x, y, w):
        with tf.GradientTape() as tape:
            out = model(x, training=True)
            labels = y["sum"][:, None] if column else y["sum"]
            loss = tf.reduce_mean((labels - out["sum"]) ** 2) + tf.reduce_mean((y["first"] - out["first"]) ** 2)
        opt.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)

    return steps(step, optimizer=lambda: keras.optimizers.Adam(0.01), batch_size=24)


second, fixed_second = loop(False), loop(True)
