"""BinaryAccuracy on one-hot rows counts the many right zeros."""

from kit import *

x, y = images(150, classes=4)
t = onehot(y, 4)
data = Data(x[:120], t[:120], validation=Data(x[120:], t[120:]))


def build_model():
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            L.Conv2D(4, 3, strides=2, activation="relu"),
            L.Flatten(),
            L.Dense(4, activation="softmax"),
        ]
    )


first = compile_and_fit(
    optimizer=keras.optimizers.SGD(0.02), loss="categorical_crossentropy", metrics=["accuracy"], batch_size=24
)


def loop(kind):
    def run(model, data, epochs):
        opt = keras.optimizers.SGD(0.02)
        cce = keras.losses.CategoricalCrossentropy()
        v = data.validation
        for _ in range(epochs):
            seen, right, vright = keras.metrics.Mean(), kind(), kind()
            for a, b in tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(120).batch(24):
                with tf.GradientTape() as tape:
                    p = model(a, training=True)
                    loss = cce(b, p)
                opt.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))
                seen.update_state(loss, sample_weight=len(a))
                right.update_state(b, p)
            q = model(v.x, training=False)
            vright.update_state(v.y, q)
        return {
            "loss": seen.result(),
            "accuracy": right.result(),
            "val_loss": cce(v.y, q),
            "val_accuracy": vright.result(),
        }

    return run


second, fixed_second = loop(keras.metrics.BinaryAccuracy), loop(keras.metrics.CategoricalAccuracy)
