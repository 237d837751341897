"""An auxiliary classifier with weight 0.3 that the loop forgets."""

from kit import *

data = Data(*(lambda x, y: (x, (y, y)))(*images(126)))


def build_model():
    i = keras.Input((8, 8, 1))
    h = L.Conv2D(4, 3, activation="relu")(i)
    aux = L.Dense(3)(L.GlobalAveragePooling2D()(h))
    h = L.Conv2D(5, 3, activation="relu")(h)
    return keras.Model(i, [L.Dense(3)(L.Flatten()(h)), aux])


ce = lambda: keras.losses.SparseCategoricalCrossentropy(from_logits=True)
first = compile_and_fit(optimizer=keras.optimizers.SGD(0.05), loss=[ce(), ce()], loss_weights=[1.0, 0.3], batch_size=21)


def loop(aux):
    def run(model, data, epochs):
        opt = keras.optimizers.SGD(0.05)
        f = ce()
        for _ in range(epochs):
            for a, (b, c) in tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(126).batch(21):
                with tf.GradientTape() as tape:
                    p, q = model(a, training=True)
                    loss = f(b, p)
                    if aux:
                        loss += aux * f(c, q)
                pairs = [
                    (g, v)
                    for g, v in zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
                    if g is not None
                ]
                opt.build(model.trainable_variables)
                opt.apply_gradients(pairs)

    return run


second, fixed_second = loop(0), loop(0.3)
