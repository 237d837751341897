"""Samples and labels are mixed in pairs for every batch."""

from kit import *

x, y = blobs(900, classes=4, d=8)
data = split(x, onehot(y, 4))
score = accuracy


def build_model():
    return keras.Sequential([keras.Input((8,)), L.Dense(32, activation="relu"), L.Dense(4, activation="softmax")])


def loop(model, data, epochs=15):
    def mixed(inputs, labels):
        part = tf.random.uniform((tf.shape(inputs)[0], 1), 0.8, 1.0)
        order = tf.random.shuffle(tf.range(tf.shape(inputs)[0]))
        return part * inputs + (1 - part) * tf.gather(inputs, order), part * labels + (1 - part) * tf.gather(
            labels, order
        )

    batches = tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(900).batch(32).map(mixed)
    model.compile(optimizer=keras.optimizers.Adam(0.005), loss="categorical_crossentropy", metrics=["accuracy"])
    held = (data.validation.x, data.validation.y)
    return model.fit(batches, epochs=epochs, validation_data=held, verbose=0)
