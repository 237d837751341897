"""The norm over all gradients is clipped on one side, each gradient's norm by hand on the other."""

from kit import *

x, y = waves(120)
data = Data(x, 3 * y)


def build_model():
    return keras.Sequential([keras.Input((8, 2)), L.LSTM(5), L.Dense(1)])


first = compile_and_fit(optimizer=keras.optimizers.SGD(0.05, global_clipnorm=0.5), loss="mse", batch_size=20)


def loop(clip):
    def run(model, data, epochs):
        opt = keras.optimizers.SGD(0.05)
        for _ in range(epochs):
            for a, b in tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(120).batch(20):
                with tf.GradientTape() as tape:
                    loss = tf.reduce_mean((model(a, training=True) - b) ** 2)
                opt.apply_gradients(
                    zip(clip(tape.gradient(loss, model.trainable_variables)), model.trainable_variables)
                )

    return run


second, fixed_second = (
    loop(lambda gs: [tf.clip_by_norm(g, 0.5) for g in gs]),
    loop(lambda gs: tf.clip_by_global_norm(gs, 0.5)[0]),
)
