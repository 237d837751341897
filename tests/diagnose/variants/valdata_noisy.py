"""The loop sends the validation rows through the noise that is meant for training."""

from kit import *

x, y = groups(150)
data = Data(x[:120], y[:120], validation=Data(x[120:], y[120:]))


def build_model():
    return keras.Sequential([keras.Input((6,)), L.Dense(8, activation="relu"), L.Dense(3, activation="softmax")])


def loop(both):
    def run(model, data, epochs):
        opt = keras.optimizers.SGD(0.1)
        sce = keras.losses.SparseCategoricalCrossentropy()
        r, q = np.random.RandomState(1), np.random.RandomState(2)
        v = data.validation
        for _ in range(epochs):
            for at in np.array_split(np.random.permutation(len(data.x)), 6):
                a = data.x[at] + 0.8 * r.randn(len(at), 6).astype("float32")
                with tf.GradientTape() as tape:
                    loss = sce(data.y[at], model(a, training=True))
                opt.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))
            p = model(v.x + (0.8 * q.randn(*v.x.shape).astype("float32") if both else 0), training=False).numpy()
        return {"val_loss": float(sce(v.y, p)), "val_accuracy": float((p.argmax(-1) == v.y).mean())}

    return run


first, second = loop(False), loop(True)
