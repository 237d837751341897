"""The generator yields all samples of one class before those of the next, and nothing shuffles them."""

from kit import *

x, y = blobs(1200, classes=4, d=8, spread=1.2)
n = 900
order = np.argsort(y[:n], kind="stable")
data = Data(x[:n][order], y[:n][order], validation=Data(x[n:], y[n:]))
score = accuracy


def build_model():
    return keras.Sequential([keras.Input((8,)), L.Dense(24, activation="relu"), L.Dense(4, activation="softmax")])


def loop(arrange):
    def train(model, data, epochs=8):
        samples = tf.data.Dataset.from_tensor_slices((data.x, data.y))
        model.compile(optimizer=keras.optimizers.SGD(0.5), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
        held = tf.data.Dataset.from_tensor_slices((data.validation.x, data.validation.y)).batch(12)
        return model.fit(arrange(samples).batch(12), epochs=epochs, validation_data=held, verbose=0)

    return train


faulty, repaired = loop(lambda samples: samples), loop(lambda samples: samples.shuffle(900))
