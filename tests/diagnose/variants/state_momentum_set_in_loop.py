"""The loop sets the momentum of BatchNormalization to PyTorch's 0.1; the trained weights agree, the moving statistics do not."""

from kit import *

x, y = images(126)
data = Data(2 * x + 1, y)


def build_model():
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            L.Conv2D(4, 3, use_bias=False),
            L.BatchNormalization(momentum=0.9),
            L.ReLU(),
            L.GlobalAveragePooling2D(),
            L.Dense(3, activation="softmax"),
        ]
    )


first = compile_and_fit(optimizer=keras.optimizers.SGD(0.1), loss="sparse_categorical_crossentropy", batch_size=21)


def loop(momentum):
    def run(model, data, epochs):
        opt = keras.optimizers.SGD(0.1)
        sce = keras.losses.SparseCategoricalCrossentropy()
        for layer in model.layers:
            if isinstance(layer, L.BatchNormalization):
                layer.momentum = momentum
        for _ in range(epochs):
            seen = keras.metrics.Mean()
            for a, b in tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(126).batch(21):
                with tf.GradientTape() as tape:
                    loss = sce(b, model(a, training=True))
                opt.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))
                seen.update_state(loss, sample_weight=len(a))
        return {"loss": seen.result()}

    return run


second, fixed_second = loop(0.1), loop(0.9)
