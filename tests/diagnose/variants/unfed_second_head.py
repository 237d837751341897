"""The metric of one of two heads is created and reported, and never fed."""

from kit import *

x, y = groups(120)
data = Data(x, {"kind": y, "size": x[:, :1] * 2})


def build_model():
    inputs = keras.Input((6,))
    h = L.Dense(8, activation="relu")(inputs)
    return keras.Model(
        inputs, {"kind": L.Dense(3, activation="softmax", name="kind")(h), "size": L.Dense(1, name="size")(h)}
    )


first = compile_and_fit(
    optimizer=keras.optimizers.Adam(0.01),
    loss={"kind": "sparse_categorical_crossentropy", "size": "mse"},
    metrics={"kind": "accuracy"},
    batch_size=16,
)


def loop(feed):
    def run(model, data, epochs):
        opt = keras.optimizers.Adam(0.01)
        hits, sce = keras.metrics.SparseCategoricalAccuracy(), keras.losses.SparseCategoricalCrossentropy()
        mse = keras.losses.MeanSquaredError()
        for _ in range(epochs):
            hits.reset_state()
            for a, b in tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(120).batch(16):
                with tf.GradientTape() as tape:
                    out = model(a, training=True)
                    loss = sce(b["kind"], out["kind"]) + mse(b["size"], out["size"])
                opt.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
                if feed:
                    hits.update_state(b["kind"], out["kind"])
        return {"kind_accuracy": hits.result()}

    return run


second, fixed_second = loop(False), loop(True)
