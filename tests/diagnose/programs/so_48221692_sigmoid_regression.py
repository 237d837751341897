"""Targets between 0 and 5 are predicted by a sigmoid, which never exceeds 1."""

from kit import *

x, y = table(800, d=5)
data = split(x, (y - y.min()).astype("float32"))
score = explained


def built(last):
    return lambda: keras.Sequential(
        [keras.Input((5,)), L.Dense(20, activation="relu"), L.Dense(20, activation="relu"), L.Dense(1, activation=last)]
    )


build_model = built("sigmoid")


def faulty(model, data, epochs=25):
    optimizer, mse = keras.optimizers.Adam(0.005), keras.losses.MeanSquaredError()
    batches = tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(len(data.x)).batch(32)
    for _ in range(epochs):
        for inputs, targets in batches:
            with tf.GradientTape() as tape:
                loss = mse(targets, model(inputs, training=True))
            gradients = tape.gradient(loss, model.trainable_variables)
            optimizer.apply_gradients(zip(gradients, model.trainable_variables))


repaired = Side(faulty, build_model=built("linear"))
