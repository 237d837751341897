"""A training loop from scratch with a tape, metrics and a validation loop, as the guide shows."""

from kit import *

data = split(*digits(900))
score = accuracy


def build_model():
    inputs = keras.Input((8, 8, 1))
    hidden = L.Dense(32, activation="relu")(L.Flatten()(inputs))
    return keras.Model(inputs, L.Dense(10)(hidden))


def loop(model, data, epochs=12):
    optimizer = keras.optimizers.Adam(0.005)
    loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    seen, right, held_right = (
        keras.metrics.Mean(),
        keras.metrics.SparseCategoricalAccuracy(),
        keras.metrics.SparseCategoricalAccuracy(),
    )
    batches = tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(1024).batch(32)
    held = tf.data.Dataset.from_tensor_slices((data.validation.x, data.validation.y)).batch(32)
    for _ in range(epochs):
        seen.reset_state(), right.reset_state(), held_right.reset_state()
        for x, y in batches:
            with tf.GradientTape() as tape:
                logits = model(x, training=True)
                loss = loss_fn(y, logits)
            gradients = tape.gradient(loss, model.trainable_weights)
            optimizer.apply(gradients, model.trainable_weights)
            seen.update_state(loss, sample_weight=len(x))
            right.update_state(y, logits)
        for x, y in held:
            held_right.update_state(y, model(x, training=False))
    return {
        "loss": float(seen.result()),
        "accuracy": float(right.result()),
        "val_accuracy": float(held_right.result()),
    }
