"""fit gets pixels between 0 and 1, the loop forgets the division."""

from kit import *

x, y = images(120)
data = Data(np.clip(128 + 40 * x, 0, 255).astype("float32"), y)


def build_model():
    return keras.Sequential(
        [keras.Input((8, 8, 1)), L.Conv2D(4, 3, activation="relu"), L.Flatten(), L.Dense(3, activation="softmax")]
    )


def first(model, data, epochs):
    model.compile(optimizer=keras.optimizers.SGD(0.01), loss="sparse_categorical_crossentropy")
    return model.fit(data.x / 255, data.y, epochs=epochs, batch_size=24, verbose=0)


def loop(prepare):
    def run(model, data, epochs):
        opt = keras.optimizers.SGD(0.01)
        sce = keras.losses.SparseCategoricalCrossentropy()
        for _ in range(epochs):
            seen = keras.metrics.Mean()
            for a, b in (
                tf.data.Dataset.from_tensor_slices((data.x, data.y))
                .map(lambda p, q: (prepare(p), q))
                .shuffle(120)
                .batch(24)
            ):
                with tf.GradientTape() as tape:
                    loss = sce(b, model(a, training=True))
                opt.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))
                seen.update_state(loss, sample_weight=len(a))
        return {"loss": seen.result()}

    return run


second, fixed_second = loop(lambda p: p), loop(lambda p: p / 255)
