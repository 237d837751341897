"""The gradients are not set to zero after an update and add up from batch to batch."""

from kit import *

data = split(*blobs(900, classes=4, d=8, spread=1.0))
score = accuracy


def build_model():
    return keras.Sequential([keras.Input((8,)), L.Dense(24, activation="relu"), L.Dense(4, activation="softmax")])


def loop(cleared):
    def train(model, data, epochs=10):
        sgd, crossentropy = keras.optimizers.SGD(0.1), keras.losses.SparseCategoricalCrossentropy()
        summed = [tf.Variable(tf.zeros_like(variable), trainable=False) for variable in model.trainable_variables]
        for _ in range(epochs):
            for inputs, labels in tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(1000).batch(32):
                with tf.GradientTape() as tape:
                    loss = crossentropy(labels, model(inputs, training=True))
                for total, part in zip(summed, tape.gradient(loss, model.trainable_variables)):
                    total.assign_add(part)
                sgd.apply_gradients(zip([total.value() for total in summed], model.trainable_variables))
                if cleared:
                    for total in summed:
                        total.assign(tf.zeros_like(total))

    return train


faulty, repaired = loop(False), loop(True)
