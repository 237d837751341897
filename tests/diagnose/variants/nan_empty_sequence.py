"""Some sequences hold nothing but padding: the mean over their tokens is 0 / 0."""

from kit import *

x, n = tokens(120, shortest=1)
x[::11] = 0
data = Data(x, (x % 2).astype("float32"))


def build_model():
    return keras.Sequential(
        [
            keras.Input((7,), dtype="int32"),
            L.Embedding(12, 4),
            L.Conv1D(6, 3, padding="same", activation="relu"),
            L.Dense(1),
        ]
    )


def loop(guard):
    def run(model, data, epochs):
        opt = keras.optimizers.Adam(0.01)
        for _ in range(epochs):
            for a, b in tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(120).batch(24):
                keep = tf.cast(a != 0, tf.float32)
                with tf.GradientTape() as tape:
                    e = tf.nn.sigmoid_cross_entropy_with_logits(b, model(a, training=True)[..., 0]) * keep
                    count = tf.reduce_sum(keep, 1)
                    loss = tf.reduce_mean(tf.reduce_sum(e, 1) / (tf.maximum(count, 1.0) if guard else count))
                opt.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))

    return run


first, second = loop(True), loop(False)
