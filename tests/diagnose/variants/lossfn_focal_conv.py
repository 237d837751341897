"""Binary cross-entropy against binary focal cross-entropy; train_on_batch."""

from kit import *

x, y = images(120, classes=2)
data = Data(x, y[:, None].astype("float32"))


def build_model():
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            L.Conv2D(4, 3, strides=2, activation="elu"),
            L.Flatten(),
            L.Dense(1, activation="sigmoid"),
        ]
    )


def train(loss):
    def run(model, data, epochs):
        model.compile(optimizer=keras.optimizers.Nadam(0.005), loss=loss)
        for _ in range(epochs):
            model.reset_metrics()
            for a, b in tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(300).batch(30):
                figures = model.train_on_batch(a, b, return_dict=True)
        return figures

    return run


first, second = train(keras.losses.BinaryCrossentropy()), train(keras.losses.BinaryFocalCrossentropy(gamma=2.0))
