"""Plain momentum against Nesterov's."""

from kit import *

data = Data(*images(120))


def build_model():
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            L.Conv2D(4, 3, activation="tanh"),
            L.GlobalAveragePooling2D(),
            L.Dense(3, activation="softmax"),
        ]
    )


def loop(**options):
    def run(model, data, epochs):
        opt = keras.optimizers.SGD(0.1, momentum=0.9, **options)
        sce = keras.losses.SparseCategoricalCrossentropy()
        for _ in range(epochs):
            for at in np.array_split(np.random.permutation(len(data.x)), range(20, len(data.x), 20)):
                with tf.GradientTape() as tape:
                    loss = sce(data.y[at], model(data.x[at], training=True))
                opt.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)

    return run


first = compile_and_fit(
    optimizer=keras.optimizers.SGD(0.1, momentum=0.9), loss="sparse_categorical_crossentropy", batch_size=20
)
second, fixed_second = loop(nesterov=True), loop()
