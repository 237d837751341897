"""Ten classes are trained with binary crossentropy and judged by binary accuracy, which says 90 % for any guess."""

from kit import *

x, y = blobs(1600, classes=10, d=8, spread=1.6)
data = split(x, onehot(y, 10))


def build_model():
    return keras.Sequential([keras.Input((8,)), L.Dense(32, activation="relu"), L.Dense(10, activation="softmax")])


def loop(loss, metric):
    def train(model, data, epochs=15):
        model.compile(loss=loss, optimizer=keras.optimizers.Adamax(0.01), metrics=[metric])
        held = (data.validation.x, data.validation.y)
        return model.fit(data.x, data.y, epochs=epochs, batch_size=32, validation_data=held, verbose=0)

    return train


faulty, repaired = loop("binary_crossentropy", "binary_accuracy"), loop("categorical_crossentropy", "accuracy")
