"""Every kernel starts with equal values, so that the units of a layer stay equal to each other."""

from kit import *

r = np.random.default_rng(22)
x = r.normal(0, 1, (900, 4)).astype("float32")
data = split(x, (x[:, :1] * x[:, 1:2] + np.sin(2 * x[:, 2:3])).astype("float32"))
score = explained


def built(start):
    return lambda: keras.Sequential(
        [
            keras.Input((4,)),
            L.Dense(24, activation="tanh", kernel_initializer=start),
            L.Dense(24, activation="tanh", kernel_initializer=start),
            L.Dense(1, kernel_initializer=start),
        ]
    )


build_model = built(keras.initializers.Constant(0.1))


def faulty(model, data, epochs=30):
    adam, batches = keras.optimizers.Adam(0.005), tf.data.Dataset.from_tensor_slices((data.x, data.y))

    @tf.function
    def step(inputs, targets):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(targets - model(inputs, training=True)))
        adam.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))

    for _ in range(epochs):
        for inputs, targets in batches.shuffle(len(data.x)).batch(25):
            step(inputs, targets)


repaired = Side(faulty, build_model=built("glorot_uniform"))
