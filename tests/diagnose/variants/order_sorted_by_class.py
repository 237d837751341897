"""The batches are made of the samples sorted by class; only the order of the batches is drawn."""

from kit import *

data = Data(*images(120))


def build_model():
    return keras.Sequential([keras.Input((8, 8, 1)), L.Conv2D(3, 3, activation="relu"), L.Flatten(), L.Dense(3)])


ce = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
first = compile_and_fit(optimizer=keras.optimizers.SGD(0.05), loss=ce, batch_size=20)


def loop(by_class):
    def run(model, data, epochs):
        opt = keras.optimizers.SGD(0.05)
        for _ in range(epochs):
            order = np.argsort(data.y, kind="stable") if by_class else np.random.permutation(len(data.y))
            starts = np.random.permutation(range(0, len(order), 20)) if by_class else range(0, len(order), 20)
            for start in starts:
                rows = order[start : start + 20]
                with tf.GradientTape() as tape:
                    loss = ce(data.y[rows], model(data.x[rows], training=True))
                opt.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)

    return run


second, fixed_second = loop(True), loop(False)
