"""Two Adams of the same rate, for the tower of each input, against one."""

from kit import *

x, y = table(120, d=8)
data = Data({"a": x[:, :3], "b": x[:, 3:]}, y)


def build_model():
    i = {"a": keras.Input((3,), name="a"), "b": keras.Input((5,), name="b")}
    h = L.Concatenate()([L.Dense(4, activation="relu")(i["a"]), L.Dense(4, activation="tanh")(i["b"])])
    return keras.Model(i, L.Dense(1)(h))


first = compile_and_fit(optimizer=keras.optimizers.Adam(0.02), loss="mae", batch_size=20)


def second(model, data, epochs):
    one, two = keras.optimizers.Adam(0.02), keras.optimizers.Adam(0.02)
    vs = model.trainable_variables
    p, q = vs[:2], vs[2:]
    mae = keras.losses.MeanAbsoluteError()
    for _ in range(epochs):
        seen = keras.metrics.Mean()
        for a, b in tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(120).batch(20):
            with tf.GradientTape() as tape:
                loss = mae(b, model(a, training=True))
            g = tape.gradient(loss, p + q)
            one.apply_gradients(zip(g[:2], p))
            two.apply_gradients(zip(g[2:], q))
            seen.update_state(loss, sample_weight=len(b))
    return {"loss": seen.result()}
