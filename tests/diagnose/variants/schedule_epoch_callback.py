"""A callback halves the rate at each epoch; the other side decays to the half over an epoch, step by step."""

from kit import *

data = Data(*images(120))


def build_model():
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            L.Conv2D(4, 3, activation="relu"),
            L.GlobalMaxPooling2D(),
            L.Dense(3, activation="softmax"),
        ]
    )


def fit(per_epoch):
    def run(model, data, epochs):
        n = -(-len(data.x) // 20)
        rate = 0.3 if per_epoch else keras.optimizers.schedules.ExponentialDecay(0.3, n, 0.5)
        model.compile(optimizer=keras.optimizers.SGD(rate), loss="sparse_categorical_crossentropy")
        return model.fit(
            data.x,
            data.y,
            epochs=epochs,
            batch_size=20,
            verbose=0,
            callbacks=[keras.callbacks.LearningRateScheduler(lambda e, lr: 0.3 * 0.5**e)] if per_epoch else None,
        )

    return run


first, second = fit(True), fit(False)


def sound(model, data, epochs):
    opt = keras.optimizers.SGD(0.3)
    sce = keras.losses.SparseCategoricalCrossentropy()
    for e in range(epochs):
        opt.learning_rate.assign(0.3 * 0.5**e)
        seen = keras.metrics.Mean()
        for a, b in tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(120).batch(20):
            with tf.GradientTape() as tape:
                loss = sce(b, model(a, training=True))
            opt.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))
            seen.update_state(loss, sample_weight=len(a))
    return {"loss": seen.result()}
