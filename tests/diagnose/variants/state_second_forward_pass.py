"""The accuracy is taken from a second call with training=True before the gradients, so that the moving statistics move twice per step."""

from kit import *

x, y = groups(120)
data = Data(2 * x - 1, y)


def build_model():
    return keras.Sequential(
        [keras.Input((6,)), L.Dense(8), L.BatchNormalization(momentum=0.9), L.Activation("tanh"), L.Dense(3)]
    )


ce = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
first = compile_and_fit(optimizer=keras.optimizers.SGD(0.2), loss=ce, metrics=["accuracy"], batch_size=20)


def loop(twice):
    def run(model, data, epochs):
        opt = keras.optimizers.SGD(0.2)
        opt.build(model.trainable_variables)
        seen, right = keras.metrics.Mean(), keras.metrics.SparseCategoricalAccuracy()

        @tf.function(reduce_retracing=True)
        def step(a, b):
            if twice:
                right.update_state(b, model(a, training=True))
            with tf.GradientTape() as tape:
                z = model(a, training=True)
                loss = ce(b, z)
            if not twice:
                right.update_state(b, z)
            opt.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))
            seen.update_state(loss, sample_weight=tf.shape(a)[0])

        for _ in range(epochs):
            seen.reset_state()
            right.reset_state()
            for a, b in tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(120).batch(20):
                step(a, b)
        return {"loss": seen.result(), "accuracy": right.result()}

    return run


second, fixed_second = loop(True), loop(False)
