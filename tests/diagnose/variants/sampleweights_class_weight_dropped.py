"""class_weight reaches fit, and the loop does not know it."""

from kit import *

x, n = tokens(126)
y = (n > 5).astype("int32")
data = Data(x, y, class_weight={0: 0.4, 1: 2.5})


def build_model():
    return keras.Sequential(
        [keras.Input((7,), dtype="int32"), L.Embedding(12, 4), L.GRU(5), L.Dense(2, activation="softmax")]
    )


first = compile_and_fit(optimizer=keras.optimizers.SGD(0.1), loss="sparse_categorical_crossentropy", batch_size=21)


def loop(weigh):
    def run(model, data, epochs):
        opt = keras.optimizers.SGD(0.1)
        sce = keras.losses.SparseCategoricalCrossentropy()
        for _ in range(epochs):
            for a, b in tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(126).batch(21):
                w = tf.where(b == 1, data.class_weight[1], data.class_weight[0]) if weigh else None
                with tf.GradientTape() as tape:
                    loss = sce(b, model(a, training=True), sample_weight=w)
                opt.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))

    return run


second, fixed_second = loop(False), loop(True)
