"""The validation set of fit is cut by take(); two outputs."""

from kit import *

x, y = groups(150)
z = x[:, :1] * 2
part = lambda rows: (x[rows], {"kind": y[rows], "size": z[rows]})
data = Data(*part(slice(100)), validation=Data(*part(slice(100, None))))


def build_model():
    inputs = keras.Input((6,))
    h = L.Dense(8, activation="relu")(inputs)
    return keras.Model(
        inputs, {"kind": L.Dense(3, activation="softmax", name="kind")(h), "size": L.Dense(1, name="size")(h)}
    )


LOSS = {"kind": "sparse_categorical_crossentropy", "size": "mse"}
first = compile_and_fit(optimizer=keras.optimizers.Adam(0.01), loss=LOSS, batch_size=20)


def loop(cut):
    def run(model, data, epochs):
        model.compile(optimizer=keras.optimizers.Adam(0.01), loss=LOSS)
        held = data.validation
        if held is not None:
            held = tf.data.Dataset.from_tensor_slices((held.x, held.y)).batch(10)
            held = held.take(2) if cut else held
        return model.fit(data.x, data.y, batch_size=20, epochs=epochs, validation_data=held, verbose=0)

    return run


second, fixed_second = loop(True), loop(False)
