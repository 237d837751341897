"""A base frozen on both sides: in the factory, and respected by the loop, which takes trainable_weights; two phases with thawing."""

from kit import *

data = Data(*waves(120))


def build_model():
    return keras.Sequential([keras.Input((8, 2)), L.LSTM(5, name="base"), L.Dense(4, activation="relu"), L.Dense(1)])


def first(model, data, epochs):
    for e in range(epochs):
        model.get_layer("base").trainable = e > 0
        model.compile(optimizer=keras.optimizers.SGD(0.05), loss="mse")
        h = model.fit(data.x, data.y, batch_size=20, epochs=1, verbose=0)
    return h


def second(model, data, epochs):
    opt = keras.optimizers.SGD(0.05)
    opt.build(model.trainable_weights)
    base = model.get_layer("base")
    for e in range(epochs):
        base.trainable = e > 0
        seen = keras.metrics.Mean()
        for a, b in tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(120).batch(20):
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(tf.math.squared_difference(model(a, training=True), b))
            opt.apply_gradients(zip(tape.gradient(loss, model.trainable_weights), model.trainable_weights))
            seen.update_state(loss, sample_weight=len(a))
    return {"loss": seen.result()}
