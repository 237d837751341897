"""The loop reports its accuracies in percent; a subclassed model with attention."""

from kit import *

x, y = waves(150, t=6, f=4)
k = (y[:, 0] > 0).astype("int32")
data = Data(x[:120], k[:120], validation=Data(x[120:], k[120:]))


class Net(keras.Model):
    def __init__(self):
        super().__init__()
        self.look = L.MultiHeadAttention(2, 3)
        self.pool = L.GlobalAveragePooling1D()
        self.out = L.Dense(2)

    def call(self, x):
        return self.out(self.pool(self.look(x, x)))


build_model = Net
ce = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
first = compile_and_fit(optimizer=keras.optimizers.SGD(0.1), loss=ce, metrics=["accuracy"], batch_size=20)


def loop(unit):
    def run(model, data, epochs):
        opt = keras.optimizers.SGD(0.1)
        v = data.validation
        for _ in range(epochs):
            right, total, n = 0, 0.0, 0
            for a, b in tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(120).batch(20):
                with tf.GradientTape() as tape:
                    z = model(a, training=True)
                    loss = ce(b, z)
                opt.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))
                right += int((z.numpy().argmax(-1) == b.numpy()).sum())
                total += float(loss) * len(a)
                n += len(a)
            z = model(v.x, training=False).numpy()
        return {
            "loss": total / n,
            "accuracy": unit * right / n,
            "val_loss": float(ce(v.y, z)),
            "val_accuracy": unit * float((z.argmax(-1) == v.y).mean()),
        }

    return run


second, fixed_second = loop(100), loop(1)
