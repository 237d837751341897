"""A function that wants logits is given the probabilities of a softmax."""

from kit import *

x, y = digits(900)
data = split(x, onehot(y, 10))
score = accuracy


def build_model():
    return keras.Sequential(
        [keras.Input((8, 8, 1)), L.Flatten(), L.Dense(32, activation="relu"), L.Dense(10), L.Softmax()]
    )


def loop(loss_of):
    def train(model, data, epochs=10):
        sgd = keras.optimizers.SGD(0.1)
        for _ in range(epochs):
            total = 0.0
            for inputs, labels in tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(1000).batch(32):
                with tf.GradientTape() as tape:
                    loss = tf.reduce_mean(loss_of(labels, model(inputs, training=True)))
                sgd.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))
                total += float(loss) * len(inputs)
        return {"loss": total / len(data.x)}

    return train


faulty, repaired = loop(tf.nn.softmax_cross_entropy_with_logits), loop(keras.losses.categorical_crossentropy)
