"""compile stands inside the loop over epochs; train_on_batch, RMSprop."""

from kit import *

x, y = images(120)
data = Data(x, onehot(y, 3))


def build_model():
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            L.Conv2D(4, 3, strides=2, use_bias=False),
            L.BatchNormalization(),
            L.ReLU(),
            L.Flatten(),
            L.Dense(3, activation="softmax"),
        ]
    )


def loop(again):
    def run(model, data, epochs):
        for e in range(epochs):
            if again or e == 0:
                model.compile(optimizer=keras.optimizers.RMSprop(0.003), loss="categorical_crossentropy")
            order = np.random.permutation(len(data.x))
            total = 0.0
            for s in range(0, len(order), 24):
                i = order[s : s + 24]
                total += len(i) * float(model.train_on_batch(data.x[i], data.y[i]))
        return {"loss": total / len(order)}

    return run


first, second = loop(False), loop(True)
fixed_second = compile_and_fit(
    optimizer=keras.optimizers.RMSprop(0.003), loss="categorical_crossentropy", batch_size=24
)
