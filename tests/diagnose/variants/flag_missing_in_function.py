"""The compiled step calls the model without training=True: no dropout, and BatchNormalization in its inference mode."""

from kit import *

data = Data(*images(125))


def build_model():
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            L.Conv2D(4, 3, use_bias=False),
            L.BatchNormalization(momentum=0.8),
            L.ReLU(),
            L.Flatten(),
            L.Dropout(0.3),
            L.Dense(3),
        ]
    )


ce = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
first = compile_and_fit(optimizer=keras.optimizers.SGD(0.05), loss=ce, batch_size=25)


def loop(**flag):
    def run(model, data, epochs):
        opt = keras.optimizers.SGD(0.05)
        opt.build(model.trainable_variables)

        @tf.function(reduce_retracing=True)
        def step(a, b):
            with tf.GradientTape() as tape:
                loss = ce(b, model(a, **flag))
            opt.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))

        for _ in range(epochs):
            for a, b in tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(125).batch(25):
                step(a, b)

    return run


second, fixed_second = loop(), loop(training=True)
