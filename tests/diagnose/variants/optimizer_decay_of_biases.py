"""AdamW decays biases and normalizations on one side, and excludes them on the other."""

from kit import *

data = Data(*groups(120))


def build_model():
    return keras.Sequential(
        [
            keras.Input((6,)),
            L.Dense(8, bias_initializer="ones", activation="relu"),
            L.LayerNormalization(),
            L.Dense(3, activation="softmax"),
        ]
    )


sce = keras.losses.SparseCategoricalCrossentropy()


def loop(exclude):
    def run(model, data, epochs):
        opt = keras.optimizers.AdamW(0.01, weight_decay=0.5)
        if exclude:
            opt.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
        model.compile(optimizer=opt, loss=sce)
        return model.fit(data.x, data.y, batch_size=24, epochs=epochs, verbose=0)

    return run


first, second, fixed_second = loop(True), loop(False), loop(True)
