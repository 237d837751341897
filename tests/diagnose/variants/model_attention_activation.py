"""A small transformer block whose feed-forward part has relu on one side and gelu on the other; fit against a loop in a tf.function."""

from kit import *

x, y = waves(130, t=6, f=4)
data = Data(x, y)


def made(act):
    def build():
        i = keras.Input((6, 4))
        h = L.LayerNormalization()(i + L.MultiHeadAttention(2, 4)(i, i))
        h = L.Dense(4)(L.Dense(10, activation=act)(h)) + h
        return keras.Model(i, L.Dense(1)(L.GlobalAveragePooling1D()(h)))

    return build


build_model = made("gelu")
first = compile_and_fit(optimizer=keras.optimizers.SGD(0.05), loss="mse", batch_size=20)


def loop(model, data, epochs):
    opt = keras.optimizers.SGD(0.05)
    opt.build(model.trainable_variables)
    mse = keras.losses.MeanSquaredError()
    seen = keras.metrics.Mean()

    @tf.function
    def step(a, b):
        with tf.GradientTape() as tape:
            loss = mse(b, model(a, training=True))
        opt.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))
        seen.update_state(loss, sample_weight=tf.shape(a)[0])

    for _ in range(epochs):
        seen.reset_state()
        for a, b in tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(len(data.x)).batch(20):
            step(a, b)
    return {"loss": float(seen.result())}


fixed_second, second = loop, Side(loop, build_model=made("relu"))
