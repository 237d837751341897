"""A training step with a tape, compiled by tf.function."""

from kit import *

data = split(*xor(600))
score = accuracy
OPTIONS = {"epochs": 20}


def build_model():
    return keras.Sequential([keras.Input((2,)), L.Dense(16, activation="tanh"), L.Dense(1, activation="sigmoid")])


def step(model, optimizer, x, y, _):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(keras.losses.binary_crossentropy(y, model(x, training=True)))
    optimizer.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))
    return loss


loop = steps(step, optimizer=keras.optimizers.Adam(0.02), batch_size=32)
