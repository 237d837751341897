"""from_logits=True on the output of a sigmoid: Keras takes the logits that the output carries, so that nothing differs."""

from kit import *

x, y = images(120, classes=2)
data = Data(x, y.astype("float32")[:, None])


def build_model():
    return keras.Sequential(
        [keras.Input((8, 8, 1)), L.Conv2D(3, 3, activation="relu"), L.Flatten(), L.Dense(1), L.Activation("sigmoid")]
    )


first = compile_and_fit(optimizer=keras.optimizers.Adam(0.01), loss="binary_crossentropy", batch_size=20)


def loop(logits):
    def run(model, data, epochs):
        opt = keras.optimizers.Adam(0.01)
        bce = keras.losses.BinaryCrossentropy(from_logits=logits)
        for _ in range(epochs):
            for a, b in tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(120).batch(20):
                with tf.GradientTape() as tape:
                    loss = bce(b, model(a, training=True))
                opt.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))

    return run


second = loop(True)
