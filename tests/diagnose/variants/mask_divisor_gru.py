"""The loop leaves the padding out of the sum, and divides by all positions."""

from kit import *

x, _ = tokens(126, t=7, vocab=12)
data = Data(x, (x % 3).astype("int32"))


def build_model():
    return keras.Sequential(
        [
            keras.Input((7,), dtype="int32"),
            L.Embedding(12, 5, mask_zero=True),
            L.Bidirectional(L.GRU(4, return_sequences=True)),
            L.Dense(3, activation="softmax"),
        ]
    )


first = compile_and_fit(optimizer=keras.optimizers.SGD(0.3), loss="sparse_categorical_crossentropy", batch_size=21)


def loop(right):
    def run(model, data, epochs):
        opt = keras.optimizers.SGD(0.3)
        for _ in range(epochs):
            total = n = 0.0
            for a, b in tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(200).batch(21):
                keep = tf.cast(tf.not_equal(a, 0), tf.float32)
                with tf.GradientTape() as tape:
                    e = keras.losses.sparse_categorical_crossentropy(b, model(a, training=True)) * keep
                    loss = tf.reduce_sum(e) / tf.reduce_sum(keep) if right else tf.reduce_mean(e)
                opt.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))
                total += float(loss) * len(a)
                n += len(a)
        return {"loss": total / n}

    return run


second, fixed_second = loop(False), loop(True)
