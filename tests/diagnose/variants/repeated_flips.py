"""Random flips whose generator is made inside the loop over batches: every batch is flipped by the same pattern."""

from kit import *

data = Data(*images(125))


def build_model():
    return keras.Sequential(
        [keras.Input((8, 8, 1)), L.Conv2D(4, 3, activation="tanh"), L.Flatten(), L.Dense(3, activation="softmax")]
    )


sce = keras.losses.SparseCategoricalCrossentropy()


def loop(again):
    def run(model, data, epochs):
        opt = keras.optimizers.Adam(0.01)
        coin = np.random.RandomState(7)
        for _ in range(epochs):
            for a, b in tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(125).batch(25):
                if again:
                    coin = np.random.RandomState(7)
                a = a.numpy()
                flip = coin.rand(len(a)) < 0.5
                a[flip] = a[flip][:, :, ::-1]
                with tf.GradientTape() as tape:
                    loss = sce(b, model(a, training=True))
                opt.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))

    return run


first, second = loop(False), loop(True)
