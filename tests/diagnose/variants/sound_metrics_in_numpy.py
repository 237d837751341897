"""Precision and recall counted by hand at the end of each epoch, losses of the validation set in batches."""

from kit import *

x, y = groups(160, classes=2, spread=2.0)
f = y.astype("float32")[:, None]
data = Data(x[:120], f[:120], validation=Data(x[120:], f[120:]))


def build_model():
    return keras.Sequential([keras.Input((6,)), L.Dense(8, activation="elu"), L.Dense(1, activation="sigmoid")])


first = compile_and_fit(
    optimizer=keras.optimizers.Adam(0.01),
    loss="binary_crossentropy",
    metrics=["accuracy", keras.metrics.Precision(name="precision"), keras.metrics.Recall(name="recall")],
    batch_size=20,
)


def second(model, data, epochs):
    opt = keras.optimizers.Adam(0.01)
    bce = keras.losses.BinaryCrossentropy()
    v = data.validation

    def figures(p, t):
        hit = ((p > 0.5) & (t > 0.5)).sum()
        return {
            "accuracy": ((p > 0.5) == (t > 0.5)).mean(),
            "precision": hit / max((p > 0.5).sum(), 1),
            "recall": hit / (t > 0.5).sum(),
        }

    for _ in range(epochs):
        ps, ts, total = [], [], 0.0
        for a, b in tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(120).batch(20):
            with tf.GradientTape() as tape:
                p = model(a, training=True)
                loss = bce(b, p)
            opt.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))
            ps.append(p.numpy())
            ts.append(b.numpy())
            total += float(loss) * len(a)
        t = np.concatenate(ts)
        q = model(v.x, training=False).numpy()
    return {
        "loss": total / len(t),
        **figures(np.concatenate(ps), t),
        "val_loss": float(bce(v.y, q)),
        **{"val_" + k: w for k, w in figures(q, v.y).items()},
    }
