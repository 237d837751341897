"""An accuracy metric that nobody updates reports 0."""

from kit import *

data = Data(*images(120))


def build_model():
    return keras.Sequential(
        [keras.Input((8, 8, 1)), L.Conv2D(3, 3, activation="relu"), L.Flatten(), L.Dense(3, activation="softmax")]
    )


first = compile_and_fit(
    optimizer=keras.optimizers.Adam(0.01), loss="sparse_categorical_crossentropy", metrics=["accuracy"], batch_size=20
)


def loop(fed):
    def run(model, data, epochs):
        opt = keras.optimizers.Adam(0.01)
        sce = keras.losses.SparseCategoricalCrossentropy()
        seen, right = keras.metrics.Mean(), keras.metrics.SparseCategoricalAccuracy()
        for _ in range(epochs):
            seen.reset_state()
            right.reset_state()
            for a, b in tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(120).batch(20):
                with tf.GradientTape() as tape:
                    p = model(a, training=True)
                    loss = sce(b, p)
                opt.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))
                seen.update_state(loss, sample_weight=len(a))
                if fed:
                    right.update_state(b, p)
        return {"loss": seen.result(), "accuracy": right.result()}

    return run


second, fixed_second = loop(False), loop(True)
