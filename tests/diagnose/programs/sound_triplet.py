"""Metric learning: anchors come closer to samples of their class than to others."""

from kit import *

x, y = blobs(900, classes=4, d=8)
r = np.random.default_rng(43)
near = np.array([r.choice(np.flatnonzero(y == label)) for label in y])
far = np.array([r.choice(np.flatnonzero(y != label)) for label in y])
data = Data(np.stack([x, x[near], x[far]], 1))


def build_model():
    inputs = keras.Input((3, 8))
    return keras.Model(inputs, L.Dense(4)(L.Dense(24, activation="relu")(inputs)))


def loop(model, data, epochs=15):
    adam = keras.optimizers.Adam(0.003)
    batches = tf.data.Dataset.from_tensor_slices(data.x).shuffle(900).batch(32)
    for _ in range(epochs):
        for triple in batches:
            with tf.GradientTape() as tape:
                anchor, same, other = tf.unstack(model(triple, training=True), axis=1)
                gap = tf.reduce_sum((anchor - same) ** 2, 1) - tf.reduce_sum((anchor - other) ** 2, 1)
                loss = tf.reduce_mean(tf.nn.relu(gap + 1.0))
            adam.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))
