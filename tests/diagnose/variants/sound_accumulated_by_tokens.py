"""Right accumulation with a mask: sums over tokens, divided by the tokens of the whole batch; variables in a tf.function."""

from kit import *

x, _ = tokens(120)
data = Data(x, (x % 3).astype("int32"))


def build_model():
    return keras.Sequential(
        [
            keras.Input((7,), dtype="int32"),
            L.Embedding(12, 5, mask_zero=True),
            L.GRU(6, return_sequences=True),
            L.Dense(3, activation="softmax"),
        ]
    )


first = compile_and_fit(
    optimizer=keras.optimizers.SGD(0.3, momentum=0.5), loss="sparse_categorical_crossentropy", batch_size=24
)


def second(model, data, epochs):
    opt = keras.optimizers.SGD(0.3, momentum=0.5)
    vs = model.trainable_variables
    opt.build(vs)
    sums = [tf.Variable(tf.zeros(v.shape)) for v in vs]

    @tf.function(reduce_retracing=True)
    def add(a, b):
        keep = tf.cast(a > 0, tf.float32)
        with tf.GradientTape() as tape:
            e = tf.reduce_sum(keras.losses.sparse_categorical_crossentropy(b, model(a, training=True)) * keep)
        for s, g in zip(sums, tape.gradient(e, vs)):
            s.assign_add(tf.convert_to_tensor(g))
        return e, tf.reduce_sum(keep)

    for _ in range(epochs):
        total = size = 0.0
        for a, b in tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(120).batch(24):
            count = error = 0.0
            for s in range(0, len(a), 7):
                e, n = add(a[s : s + 7], b[s : s + 7])
                count += n
                error += e
            opt.apply_gradients([(s / count, v) for s, v in zip(sums, vs)])
            for s in sums:
                s.assign(tf.zeros_like(s))
            total += float(error / count) * len(a)
            size += len(a)
    return {"loss": total / size}
