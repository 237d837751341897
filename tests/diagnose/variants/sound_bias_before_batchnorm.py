"""Adam, and a convolution whose bias BatchNormalization takes out again: its gradient is rounding."""

from kit import *

data = Data(*images(120))
rounding = True


def build_model():
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            L.Conv2D(4, 3),
            L.BatchNormalization(),
            L.ReLU(),
            L.GlobalAveragePooling2D(),
            L.Dense(3, activation="softmax"),
        ]
    )


first = compile_and_fit(optimizer=keras.optimizers.Adam(0.01), loss="sparse_categorical_crossentropy", batch_size=24)


def second(model, data, epochs):
    opt = keras.optimizers.Adam(0.01)
    for _ in range(epochs):
        for at in np.array_split(np.random.permutation(len(data.x)), range(24, len(data.x), 24)):
            with tf.GradientTape() as tape:
                loss = -tf.reduce_mean(
                    tf.math.log(tf.gather(model(data.x[at], training=True), data.y[at], batch_dims=1))
                )
            opt.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))
