"""Every batch is standardized by its mean and deviation, and not by those of the training set; GRU."""

from kit import *

x, y = waves(120)
x = (x - x.mean((0, 1))) / x.std((0, 1))
data = Data(x, y)


def build_model():
    return keras.Sequential([keras.Input((8, 2)), L.GRU(5), L.Dense(1)])


def loop(by_batch):
    def run(model, data, epochs):
        opt = keras.optimizers.RMSprop(0.01)
        for _ in range(epochs):
            order = np.random.permutation(len(data.x))
            for rows in np.array_split(order, 5):
                a, b = data.x[rows], data.y[rows]
                if by_batch:
                    a = (a - a.mean((0, 1))) / a.std((0, 1))
                with tf.GradientTape() as tape:
                    loss = tf.reduce_mean((model(a, training=True) - b) ** 2)
                opt.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)

    return run


first, second, fixed_second = loop(False), loop(True), loop(False)
