"""The loop draws one permutation before its epochs; fit draws one for each."""

from kit import *

data = Data(*groups(130))


def build_model():
    return keras.Sequential([keras.Input((6,)), L.Dense(8, activation="relu"), L.Dense(3, activation="softmax")])


first = compile_and_fit(optimizer=keras.optimizers.SGD(0.1), loss="sparse_categorical_crossentropy", batch_size=26)


def loop(once):
    def run(model, data, epochs):
        opt = keras.optimizers.SGD(0.1)
        sce = keras.losses.SparseCategoricalCrossentropy()
        order = np.random.permutation(len(data.x))
        for e in range(epochs):
            if e and not once:
                order = np.random.permutation(len(data.x))
            for s in range(0, len(order), 26):
                i = order[s : s + 26]
                with tf.GradientTape() as tape:
                    loss = sce(data.y[i], model(data.x[i], training=True))
                opt.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))

    return run


second, fixed_second = loop(True), loop(False)
