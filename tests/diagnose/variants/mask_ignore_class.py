"""Labels of -1 mean "no label"; the loop turns them into class 0 and counts them."""

from kit import *

x, _ = images(120, size=6, ch=2)
y = (x.sum(-1) > 0).astype("int32")
y[np.random.default_rng(9).random(y.shape) < 0.3] = -1
data = Data(x, y)


def build_model():
    return keras.Sequential([keras.Input((6, 6, 2)), L.Conv2D(5, 3, padding="same", activation="relu"), L.Conv2D(2, 1)])


first = compile_and_fit(
    optimizer=keras.optimizers.SGD(0.2),
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1),
    batch_size=30,
)


def loop(right):
    def run(model, data, epochs):
        opt = keras.optimizers.SGD(0.2)
        for _ in range(epochs):
            for a, b in tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(999).batch(30):
                keep = tf.cast(b >= 0, tf.float32) if right else tf.ones(tf.shape(b))
                with tf.GradientTape() as tape:
                    e = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.maximum(b, 0), model(a, training=True))
                    loss = tf.reduce_sum(e * keep) / tf.reduce_sum(keep)
                opt.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))

    return run


second, fixed_second = loop(False), loop(True)
