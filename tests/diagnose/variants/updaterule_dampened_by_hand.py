"""Momentum by hand, without an optimizer; the second one takes a mean of old and new (0.9 v + 0.1 g)."""

from kit import *

data = Data(*groups(120))


def build_model():
    return keras.Sequential([keras.Input((6,)), L.Dense(8, activation="relu"), L.Dense(3, activation="softmax")])


first = compile_and_fit(
    optimizer=keras.optimizers.SGD(0.05, momentum=0.9), loss="sparse_categorical_crossentropy", batch_size=20
)


def loop(new):
    def run(model, data, epochs):
        sce = keras.losses.SparseCategoricalCrossentropy()
        speed = [tf.zeros_like(v) for v in model.trainable_variables]
        for _ in range(epochs):
            for a, b in tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(120).batch(20):
                with tf.GradientTape() as tape:
                    loss = sce(b, model(a, training=True))
                speed = [0.9 * s + new * g for s, g in zip(speed, tape.gradient(loss, model.trainable_variables))]
                for s, v in zip(speed, model.trainable_variables):
                    v.assign_sub(0.05 * s)

    return run


second, fixed_second = loop(0.1), loop(1.0)
