"""A rate of 10 for gradient descent turns the loss of a regression into NaN within one epoch."""

from kit import *

data = split(*table(700, d=6, out=2))
score = explained


def build_model():
    return keras.Sequential(
        [keras.Input((6,)), L.Dense(32, activation="relu"), L.Dense(32, activation="relu"), L.Dense(2)]
    )


def step(model, optimizer, x, y, _):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(y - model(x, training=True)))
    optimizer.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))
    return loss


OPTIONS = {"epochs": 20}
faulty = steps(step, optimizer=keras.optimizers.SGD(10.0), batch_size=16)
repaired = steps(step, optimizer=keras.optimizers.SGD(0.05), batch_size=16)
