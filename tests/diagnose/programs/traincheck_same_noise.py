"""The seed is set again for every batch, so that the noise that augments the samples is always the same."""

from kit import *

x, y = blobs(600, classes=3, d=8, spread=1.3)
data = split(x, y)


def build_model():
    return keras.Sequential([keras.Input((8,)), L.Dense(24, activation="relu"), L.Dense(3, activation="softmax")])


def loop(seed_of):
    def train(model, data, epochs=10):
        adam, crossentropy = keras.optimizers.Adam(0.01), keras.losses.SparseCategoricalCrossentropy()
        step = 0
        for _ in range(epochs):
            for inputs, labels in tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(450).batch(30):
                noise = tf.random.stateless_normal(tf.shape(inputs), seed=(3, seed_of(step)), stddev=0.5)
                step += 1
                with tf.GradientTape() as tape:
                    loss = crossentropy(labels, model(inputs + noise, training=True))
                adam.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))

    return train


faulty, repaired = loop(lambda step: 0), loop(lambda step: step)
