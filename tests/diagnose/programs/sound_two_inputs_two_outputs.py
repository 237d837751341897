"""The functional API with two inputs and two outputs, each with its loss and weight."""

from kit import *

r = np.random.default_rng(34)
words, numbers = r.integers(1, 20, (900, 6)), r.normal(0, 1, (900, 4)).astype("float32")
urgent = ((words < 10).sum(1) > 3).astype("float32")[:, None]
amount = (numbers @ [1.0, -0.5, 0.3, 0.8] + urgent[:, 0]).astype("float32")[:, None]
n = 700


def part(rows):
    return {"words": words[rows], "numbers": numbers[rows]}, {"urgent": urgent[rows], "amount": amount[rows]}


data = Data(*part(slice(n)), validation=Data(*part(slice(n, None))))


def build_model():
    text, extra = keras.Input((6,), name="words"), keras.Input((4,), name="numbers")
    hidden = L.GlobalAveragePooling1D()(L.Embedding(20, 8)(text))
    hidden = L.Dense(24, activation="relu")(L.concatenate([hidden, extra]))
    outputs = {
        "urgent": L.Dense(1, activation="sigmoid", name="urgent")(hidden),
        "amount": L.Dense(1, name="amount")(hidden),
    }
    return keras.Model({"words": text, "numbers": extra}, outputs)


def loop(model, data, epochs=20):
    model.compile(
        optimizer=keras.optimizers.Adam(0.01),
        loss={"urgent": "binary_crossentropy", "amount": "mse"},
        loss_weights={"urgent": 1.0, "amount": 0.5},
        metrics={"urgent": ["accuracy"]},
    )
    held = (data.validation.x, data.validation.y)
    return model.fit(data.x, data.y, epochs=epochs, batch_size=32, validation_data=held, verbose=0)
