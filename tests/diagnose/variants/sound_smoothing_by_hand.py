"""Label smoothing of the loss against smoothed rows; L2 of the layers against a sum written out."""

from kit import *

x, y = images(120, classes=4)
data = Data(x, onehot(y, 4))


def build_model():
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            L.Conv2D(3, 3, activation="relu", kernel_regularizer=keras.regularizers.L2(0.02)),
            L.Flatten(),
            L.Dense(4),
        ]
    )


first = compile_and_fit(
    optimizer=keras.optimizers.SGD(0.05),
    loss=keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.2),
    batch_size=30,
)


def second(model, data, epochs):
    opt = keras.optimizers.SGD(0.05)
    kernel = model.layers[0].kernel
    for _ in range(epochs):
        seen = keras.metrics.Mean()
        for a, b in tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(120).batch(30):
            with tf.GradientTape() as tape:
                loss = -tf.reduce_mean(
                    tf.reduce_sum((0.8 * b + 0.05) * tf.nn.log_softmax(model(a, training=True)), -1)
                ) + 0.02 * tf.reduce_sum(kernel**2)
            opt.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))
            seen.update_state(loss, sample_weight=len(a))
    return {"loss": seen.result()}
