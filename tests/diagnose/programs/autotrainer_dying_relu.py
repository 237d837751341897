"""The hidden biases start at -10, so that every relu gives 0 for all samples and passes no gradient."""

from kit import *

data = split(*xor(800))
score = accuracy


def built(bias):
    return lambda: keras.Sequential(
        [
            keras.Input((2,)),
            L.Dense(24, activation="relu", bias_initializer=keras.initializers.Constant(bias)),
            L.Dense(24, activation="relu"),
            L.Dense(1, activation="sigmoid"),
        ]
    )


build_model = built(-10.0)


def faulty(model, data, epochs=15):
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss="binary_crossentropy", metrics=["accuracy"])
    held = (data.validation.x, data.validation.y)
    return model.fit(data.x, data.y, epochs=epochs, batch_size=32, validation_data=held, verbose=0)


repaired = Side(faulty, build_model=built(0.0))
