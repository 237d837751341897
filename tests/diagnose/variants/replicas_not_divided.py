"""Two replicas: each takes the mean over its own rows, and the gradients of the replicas are added up."""

from kit import *

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
data = Data(*table(29, d=5))


def build_model():
    with strategy.scope():
        return keras.Sequential([keras.Input((5,)), L.Dense(6, activation="tanh"), L.Dense(1)])


def loop(whole):
    def run(model, data, epochs):
        with strategy.scope():
            opt = keras.optimizers.SGD(0.05)
            opt.build(model.trainable_variables)

        def step(a, b):
            with tf.GradientTape() as tape:
                e = tf.reduce_sum((model(a, training=True) - b) ** 2)
                n = tf.cast(tf.shape(a)[0], tf.float32)
                loss = e / (tf.distribute.get_replica_context().all_reduce("sum", n) if whole else n)
            opt.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))

        both = tf.function(lambda a, b: strategy.run(step, args=(a, b)), reduce_retracing=True)
        ds = strategy.experimental_distribute_dataset(
            tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(29).batch(8)
        )
        for _ in range(epochs):
            for a, b in ds:
                both(a, b)

    return run


first, second = loop(True), loop(False)
