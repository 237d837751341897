"""A network of digits without any activation trains with squared errors at a rate of 3, and diverges."""

from kit import *

x, y = digits()
data = split(x.reshape(len(x), 64), onehot(y, 10))
score = accuracy


def built(hidden, last):
    def build():
        wide = dict(kernel_initializer=keras.initializers.RandomNormal(stddev=1), bias_initializer="random_normal")
        return keras.Sequential(
            [keras.Input((64,)), L.Dense(30, activation=hidden, **wide), L.Dense(10, activation=last, **wide)]
        )

    return build


build_model = built(None, None)


def faulty(model, data, epochs=25):
    model.compile(optimizer=keras.optimizers.SGD(3.0), loss="mean_squared_error", metrics=["accuracy"])
    held = (data.validation.x, data.validation.y)
    return model.fit(data.x, data.y, batch_size=10, epochs=epochs, validation_data=held, verbose=0)


def train_classes(model, data, epochs=25):
    model.compile(optimizer=keras.optimizers.SGD(0.5), loss="categorical_crossentropy", metrics=["accuracy"])
    held = (data.validation.x, data.validation.y)
    return model.fit(data.x, data.y, batch_size=10, epochs=epochs, validation_data=held, verbose=0)


repaired = Side(train_classes, build_model=built("sigmoid", "softmax"))
