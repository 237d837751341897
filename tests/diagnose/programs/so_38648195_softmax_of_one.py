"""Two classes have one output unit, whose softmax is always 1, and the loss is the squared error."""

from kit import *

x, y = digits(900)
data = split(x, (y[:, None] % 2).astype("float32"))
score = accuracy


def built(last):
    return lambda: keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            L.Conv2D(8, 3, activation="relu"),
            L.MaxPooling2D(2),
            L.Flatten(),
            L.Dense(24, activation="relu"),
            L.Dense(1),
            L.Activation(last),
        ]
    )


build_model = built("softmax")


def train(loss):
    def loop(model, data, epochs=15):
        model.compile(loss=loss, optimizer=keras.optimizers.SGD(0.1), metrics=["accuracy"])
        return model.fit(data.x, data.y, epochs=epochs, batch_size=32, verbose=0)

    return loop


faulty = train("mean_squared_error")
repaired = Side(train("binary_crossentropy"), build_model=built("sigmoid"))
