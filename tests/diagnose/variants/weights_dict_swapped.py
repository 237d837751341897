"""Two named outputs, weighted 1 and 4; the loop has the weights the wrong way round."""

from kit import *

x, y = images(120)
z = x.mean((1, 2, 3))[:, None]
data = Data(x, {"kind": y, "level": 3 * z})


def build_model():
    i = keras.Input((8, 8, 1))
    h = L.Flatten()(L.Conv2D(4, 3, activation="relu")(i))
    return keras.Model(
        i, {"kind": L.Dense(3, activation="softmax", name="kind")(h), "level": L.Dense(1, name="level")(h)}
    )


first = compile_and_fit(
    optimizer=keras.optimizers.SGD(0.02),
    loss={"kind": "sparse_categorical_crossentropy", "level": "mse"},
    loss_weights={"kind": 1.0, "level": 4.0},
    batch_size=20,
)


def loop(kind, level):
    def run(model, data, epochs):
        opt = keras.optimizers.SGD(0.02)
        sce, mse = keras.losses.SparseCategoricalCrossentropy(), keras.losses.MeanSquaredError()
        for _ in range(epochs):
            seen = keras.metrics.Mean()
            for a, b in tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(300).batch(20):
                with tf.GradientTape() as tape:
                    p = model(a, training=True)
                    loss = kind * sce(b["kind"], p["kind"]) + level * mse(b["level"], p["level"])
                opt.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))
                seen.update_state(loss, sample_weight=len(a))
        return {"loss": seen.result()}

    return run


second, fixed_second = loop(4.0, 1.0), loop(1.0, 4.0)
