"""fit is compiled with Huber, the loop (a tf.function) takes the plain squared error."""

from kit import *

x, y = waves(125)
data = Data(x, 4 * y)


def build_model():
    return keras.Sequential([keras.Input((8, 2)), L.GRU(6), L.Dense(1)])


first = compile_and_fit(optimizer=keras.optimizers.SGD(0.02), loss=keras.losses.Huber(delta=0.7), batch_size=25)


def loop(f):
    def run(model, data, epochs):
        opt = keras.optimizers.SGD(0.02)
        opt.build(model.trainable_variables)

        @tf.function(reduce_retracing=True)
        def one(a, b):
            with tf.GradientTape() as tape:
                value = f(b, model(a, training=True))
            opt.apply_gradients(zip(tape.gradient(value, model.trainable_variables), model.trainable_variables))
            return value

        for _ in range(epochs):
            order = np.random.permutation(len(data.x))
            total = 0.0
            for s in range(0, len(order), 25):
                i = order[s : s + 25]
                total += float(one(data.x[i], data.y[i])) * len(i)
        return {"loss": total / len(order)}

    return run


second, fixed_second = loop(keras.losses.MeanSquaredError()), loop(keras.losses.Huber(delta=0.7))
