"""The area under the curve of one side is the mean over those of the batches."""

from kit import *

x, y = groups(150, classes=2, spread=2.5)
f = y.astype("float32")[:, None]
data = Data(x, f)


def build_model():
    return keras.Sequential([keras.Input((6,)), L.Dense(8, activation="tanh"), L.Dense(1, activation="sigmoid")])


first = compile_and_fit(
    optimizer=keras.optimizers.Adam(0.01),
    loss="binary_crossentropy",
    metrics=[keras.metrics.AUC(name="auc")],
    batch_size=16,
)


def loop(whole):
    def run(model, data, epochs):
        opt = keras.optimizers.Adam(0.01)
        bce = keras.losses.BinaryCrossentropy()
        for _ in range(epochs):
            seen, auc, parts = keras.metrics.Mean(), keras.metrics.AUC(), []
            for a, b in tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(150).batch(16):
                with tf.GradientTape() as tape:
                    p = model(a, training=True)
                    loss = bce(b, p)
                opt.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))
                seen.update_state(loss, sample_weight=len(a))
                if not whole:
                    auc.reset_state()
                auc.update_state(b, p)
                parts.append(float(auc.result()))
        return {"loss": seen.result(), "auc": auc.result() if whole else np.mean(parts)}

    return run


second, fixed_second = loop(False), loop(True)
