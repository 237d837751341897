"""Crossentropy is written by hand without a small number inside the logarithm, and becomes NaN at a probability of 0."""

from kit import *

x, y = bright_shapes(600, classes=3)
data = split(x, onehot(y, 3))
repaired_data = split(x / 255, onehot(y, 3))
halves_data = [data]
score = accuracy


def build_model():
    return keras.Sequential(
        [
            keras.Input((10, 10, 3)),
            L.Conv2D(6, 3, activation="relu"),
            L.Flatten(),
            L.Dense(16, activation="relu"),
            L.Dense(3, activation="softmax"),
        ]
    )


def loop(crossentropy):
    def train(model, data, epochs=8):
        adam = keras.optimizers.Adam(0.005)
        for _ in range(epochs):
            for inputs, labels in tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(600).batch(32):
                with tf.GradientTape() as tape:
                    loss = crossentropy(labels, model(inputs, training=True))
                adam.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))

    return train


def by_hand(y, p):
    return -tf.reduce_mean(tf.reduce_sum(y * tf.math.log(p), -1))


faulty, repaired = loop(by_hand), loop(keras.losses.CategoricalCrossentropy())
halves = [repaired]
