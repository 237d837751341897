"""fit holds a fifth of the training rows out (validation_split), the loop trains on all."""

from kit import *

x, y = images(150)
data = Data(x, y)


def build_model():
    return keras.Sequential(
        [keras.Input((8, 8, 1)), L.SeparableConv2D(5, 3, activation="relu"), L.Flatten(), L.Dense(3)]
    )


ce = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def first(model, data, epochs):
    opt = keras.optimizers.SGD(0.05)
    for _ in range(epochs):
        order = np.random.permutation(len(data.x))
        for s in range(0, len(order), 15):
            i = order[s : s + 15]
            with tf.GradientTape() as tape:
                loss = ce(data.y[i], model(data.x[i], training=True))
            opt.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))


def fit(held_out):
    def run(model, data, epochs):
        model.compile(optimizer=keras.optimizers.SGD(0.05), loss=ce)
        return model.fit(data.x, data.y, batch_size=15, epochs=epochs, validation_split=held_out, verbose=0)

    return run


second, fixed_second = fit(0.2), fit(0.0)
