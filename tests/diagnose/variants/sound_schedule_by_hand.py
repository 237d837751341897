"""CosineDecay against the same curve assigned step by step; Nadam; PyDataset for fit."""

import math

from kit import *

data = Data(*images(120))


def build_model():
    return keras.Sequential([keras.Input((8, 8, 1)), L.Conv2D(4, 3, activation="tanh"), L.Flatten(), L.Dense(3)])


ce = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


class Rows(keras.utils.PyDataset):
    def __init__(self, data):
        super().__init__()
        self.data, self.order = data, np.random.permutation(len(data.x))

    def __len__(self):
        return -(-len(self.order) // 20)

    def __getitem__(self, k):
        i = self.order[20 * k : 20 * k + 20]
        return self.data.x[i], self.data.y[i]

    def on_epoch_end(self):
        self.order = np.random.permutation(len(self.data.x))


def first(model, data, epochs):
    model.compile(
        optimizer=keras.optimizers.SGD(keras.optimizers.schedules.CosineDecay(0.1, 20, alpha=0.1), momentum=0.9),
        loss=ce,
    )
    return model.fit(Rows(data), epochs=epochs, verbose=0)


def second(model, data, epochs):
    opt = keras.optimizers.SGD(0.1, momentum=0.9)
    k = 0
    for _ in range(epochs):
        seen = keras.metrics.Mean()
        for a, b in tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(120).batch(20).prefetch(2):
            opt.learning_rate = 0.1 * (0.9 * 0.5 * (1 + math.cos(math.pi * min(k, 20) / 20)) + 0.1)
            k += 1
            with tf.GradientTape() as tape:
                loss = ce(b, model(a, training=True))
            opt.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))
            seen.update_state(loss, sample_weight=len(a))
    return {"loss": seen.result()}
