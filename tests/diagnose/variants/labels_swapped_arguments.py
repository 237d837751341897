"""The loop calls the loss as loss(prediction, label)."""

from kit import *

x, y = table(120, d=6)
data = Data(x, (1 / (1 + np.exp(-y))).astype("float32"))


def build_model():
    return keras.Sequential(
        [keras.Input((6,)), L.Dense(8, activation="tanh"), L.Dropout(0.1, seed=4), L.Dense(1, activation="sigmoid")]
    )


bce = keras.losses.BinaryCrossentropy()
first = compile_and_fit(optimizer=keras.optimizers.SGD(0.2), loss=bce, batch_size=24)


def loop(call):
    def run(model, data, epochs):
        opt = keras.optimizers.SGD(0.2)
        for _ in range(epochs):
            seen = keras.metrics.Mean()
            for a, b in tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(120).batch(24):
                with tf.GradientTape() as tape:
                    loss = call(b, model(a, training=True))
                opt.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))
                seen.update_state(loss, sample_weight=len(a))
        return {"loss": seen.result()}

    return run


second, fixed_second = loop(lambda b, p: bce(p, b)), loop(bce)
