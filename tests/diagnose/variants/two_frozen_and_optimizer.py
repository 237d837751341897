"""The recurrent layer is left out, and SGD stands where Adam should."""

from kit import *

data = Data(*waves(120))


def build_model():
    return keras.Sequential([keras.Input((8, 2)), L.GRU(5, name="body"), L.Dense(1, name="head")])


first = compile_and_fit(optimizer=keras.optimizers.Adam(0.02), loss="mse", batch_size=20)


def loop(make, part):
    def run(model, data, epochs):
        opt = make(0.02)
        vs = part(model).trainable_variables
        mse = keras.losses.MeanSquaredError()
        for _ in range(epochs):
            for a, b in tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(120).batch(20):
                with tf.GradientTape() as tape:
                    loss = mse(b, model(a, training=True))
                opt.apply_gradients(zip(tape.gradient(loss, vs), vs))

    return run


A, S, head, whole = keras.optimizers.Adam, keras.optimizers.SGD, (lambda m: m.get_layer("head")), (lambda m: m)
second, halves, fixed_second = loop(S, head), (loop(S, whole), loop(A, head)), loop(A, whole)
