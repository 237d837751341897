"""Adam on attention: the bias of the keys has no gradient but rounding, which Adam makes into steps. Predictions agree."""

from kit import *

data = Data(*waves(120, t=6, f=4))
rounding = True


def build_model():
    i = keras.Input((6, 4))
    return keras.Model(i, L.Dense(1)(L.GlobalAveragePooling1D()(L.MultiHeadAttention(2, 3)(i, i))))


first = compile_and_fit(optimizer=keras.optimizers.Adam(0.02), loss="mse", batch_size=20)


def second(model, data, epochs):
    opt = keras.optimizers.Adam(0.02)
    mse = keras.losses.MeanSquaredError()
    for _ in range(epochs):
        seen = keras.metrics.Mean()
        for a, b in tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(120).batch(20):
            with tf.GradientTape() as tape:
                loss = mse(b, model(a, training=True))
            opt.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))
            seen.update_state(loss, sample_weight=len(a))
    return {"loss": seen.result()}
