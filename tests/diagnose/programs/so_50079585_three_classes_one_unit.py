"""Three classes, numbered 0 to 2, are the labels of one sigmoid unit with binary crossentropy."""

from kit import *

x, y = bright_shapes(700, classes=3)
data = split(x / 255, y[:, None])


def built(units, last):
    return lambda: keras.Sequential(
        [
            keras.Input((10, 10, 3)),
            L.Conv2D(8, 3, activation="relu"),
            L.MaxPooling2D(2),
            L.Flatten(),
            L.Dense(24, activation="relu"),
            L.Dense(units, activation=last),
        ]
    )


build_model = built(1, "sigmoid")


def loop(loss):
    def train(model, data, epochs=12):
        model.compile(loss=loss, optimizer=keras.optimizers.RMSprop(0.003), metrics=["accuracy"])
        held = (data.validation.x, data.validation.y)
        return model.fit(data.x, data.y, epochs=epochs, batch_size=16, validation_data=held, verbose=0)

    return train


def score(model, data):
    outputs = model.predict(data.validation.x, verbose=0)
    found = outputs.argmax(1) if outputs.shape[1] > 1 else outputs[:, 0] > 0.5
    return float(np.mean(found == data.validation.y[:, 0]))


faulty = loop("binary_crossentropy")
repaired = Side(loop("sparse_categorical_crossentropy"), build_model=built(3, "softmax"))
