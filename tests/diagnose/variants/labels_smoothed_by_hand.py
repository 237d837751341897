"""One side moves its labels to 0.1 and 0.9 before the loss."""

from kit import *

x, y = images(110, classes=2)
data = Data(x, y.astype("float32")[:, None])


def build_model():
    return keras.Sequential(
        [keras.Input((8, 8, 1)), L.Conv2D(3, 3, activation="relu"), L.GlobalMaxPooling2D(), L.Dense(1)]
    )


def loop(low, high):
    def run(model, data, epochs):
        opt = keras.optimizers.RMSprop(0.01)
        for _ in range(epochs):
            for at in np.array_split(np.random.permutation(len(data.x)), 5):
                b = low + (high - low) * data.y[at]
                with tf.GradientTape() as tape:
                    loss = tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(b, model(data.x[at], training=True)))
                opt.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))

    return run


first, second = loop(0.0, 1.0), loop(0.1, 0.9)
