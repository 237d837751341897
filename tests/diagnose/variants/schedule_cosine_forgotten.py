"""fit decays its rate along a cosine; the loop keeps the first value. Adam, attention."""

from kit import *

data = Data(*waves(120, t=5, f=4))


def build_model():
    i = keras.Input((5, 4))
    q = L.Dense(4)(i)
    h = L.Attention(use_scale=True)([q, i])
    return keras.Model(i, L.Dense(1)(L.Flatten()(h)))


cosine = lambda: keras.optimizers.schedules.CosineDecay(0.05, 14)
first = compile_and_fit(optimizer=lambda: keras.optimizers.Adam(cosine()), loss="mse", batch_size=20)


def loop(rate):
    def run(model, data, epochs):
        opt = keras.optimizers.Adam(rate())
        mse = keras.losses.MeanSquaredError()
        for _ in range(epochs):
            for at in np.array_split(np.random.permutation(len(data.x)), range(20, len(data.x), 20)):
                with tf.GradientTape() as tape:
                    loss = mse(data.y[at], model(data.x[at], training=True))
                opt.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))

    return run


second, fixed_second = loop(lambda: 0.05), loop(cosine)
