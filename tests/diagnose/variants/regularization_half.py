"""tf.nn.l2_loss is half of the sum of squares: the loop's penalty is half as strong as the layers'."""

from kit import *

data = Data(*waves(120, t=6, f=4))


def build_model():
    reg = keras.regularizers.L2(0.05)
    i = keras.Input((6, 4))
    h = L.Flatten()(L.MultiHeadAttention(2, 3, kernel_regularizer=keras.regularizers.L2(0.05))(i, i))
    return keras.Model(i, L.Dense(1, kernel_regularizer=reg)(h))


mse = keras.losses.MeanSquaredError()
first = compile_and_fit(optimizer=keras.optimizers.SGD(0.05), loss=mse, batch_size=20)


def loop(factor):
    def run(model, data, epochs):
        opt = keras.optimizers.SGD(0.05)
        kernels = [v for v in model.trainable_variables if "kernel" in v.path]
        for _ in range(epochs):
            seen = keras.metrics.Mean()
            for a, b in tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(120).batch(20):
                with tf.GradientTape() as tape:
                    loss = mse(b, model(a, training=True)) + factor * tf.add_n([tf.nn.l2_loss(k) for k in kernels])
                opt.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))
                seen.update_state(loss, sample_weight=len(a))
        return {"loss": seen.result()}

    return run


second, fixed_second = loop(0.05), loop(0.1)
