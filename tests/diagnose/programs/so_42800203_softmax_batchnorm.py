"""A classifier of two classes with batch normalization has one softmax unit and a training loop on tapes."""

from kit import *

x, y = blobs(800, classes=2, d=12, spread=2.0)
data = split(x, y[:, None].astype("float32"))
score = accuracy


def built(last):
    return lambda: keras.Sequential(
        [
            keras.Input((12,)),
            L.Dense(16),
            L.BatchNormalization(),
            L.Activation("relu"),
            L.Dense(1, activation=last),
        ]
    )


build_model = built("softmax")


def faulty(model, data, epochs=8):
    adam, mean = keras.optimizers.Adam(0.005), keras.metrics.Mean()
    batches = tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(600).batch(32)
    for _ in range(epochs):
        mean.reset_state()
        for inputs, labels in batches:
            with tf.GradientTape() as tape:
                outputs = model(inputs, training=True)
                likelihood = labels * tf.math.log(outputs + 1e-7) + (1 - labels) * tf.math.log(1 - outputs + 1e-7)
                loss = -tf.reduce_mean(likelihood)
            gradients = tape.gradient(loss, model.trainable_variables)
            adam.apply_gradients(zip(gradients, model.trainable_variables))
            mean.update_state(loss, sample_weight=len(inputs))
    return {"loss": float(mean.result())}


repaired = Side(faulty, build_model=built("sigmoid"))
