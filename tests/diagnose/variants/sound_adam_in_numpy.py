"""Adam in numpy, with bias correction, against Keras's; SGD noise of none."""

from kit import *

data = Data(*groups(125))


def build_model():
    return keras.Sequential([keras.Input((6,)), L.Dense(8, activation="tanh"), L.Dense(3, activation="softmax")])


first = compile_and_fit(
    optimizer=keras.optimizers.Adam(0.02), loss="sparse_categorical_crossentropy", metrics=["accuracy"], batch_size=25
)


def second(model, data, epochs):
    sce = keras.losses.SparseCategoricalCrossentropy()
    vs = model.trainable_variables
    m, s, t = [0.0] * len(vs), [0.0] * len(vs), 0
    for _ in range(epochs):
        order = np.random.permutation(len(data.x))
        total, right = 0.0, 0
        for at in range(0, len(order), 25):
            i = order[at : at + 25]
            with tf.GradientTape() as tape:
                p = model(data.x[i], training=True)
                loss = sce(data.y[i], p)
            t += 1
            rate = 0.02 * np.sqrt(1 - 0.999**t) / (1 - 0.9**t)
            for k, (v, g) in enumerate(zip(vs, tape.gradient(loss, vs))):
                g = g.numpy()
                m[k] = 0.9 * m[k] + 0.1 * g
                s[k] = 0.999 * s[k] + 0.001 * g * g
                v.assign(v.numpy() - rate * m[k] / (np.sqrt(s[k]) + 1e-7))
            total += float(loss) * len(i)
            right += int((p.numpy().argmax(1) == data.y[i]).sum())
    return {"loss": total / len(order), "accuracy": right / len(order)}
