"""Every pixel is marked as bright or not by a relu, whose overlap with the true mask can exceed 1 (a segmentation in miniature)."""

from kit import *

x, _ = digits(600)
noise = np.random.default_rng(20).normal(0, 0.15, x.shape)
data = split((x + noise).astype("float32"), (x > 0.5).astype("float32"))
score = label_accuracy


def built(last):
    return lambda: keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            L.Conv2D(12, 3, padding="same", activation="relu"),
            L.Conv2D(12, 3, padding="same", activation="relu"),
            L.Conv2D(1, 1, activation=last),
        ]
    )


build_model = built("relu")


def overlap(y, found):
    common = tf.reduce_sum(y * found, (1, 2, 3))
    return 1 - (2 * common + 1) / (tf.reduce_sum(y, (1, 2, 3)) + tf.reduce_sum(found, (1, 2, 3)) + 1)


def faulty(model, data, epochs=15):
    model.compile(optimizer=keras.optimizers.Adam(0.005), loss=overlap)
    held = (data.validation.x, data.validation.y)
    return model.fit(data.x, data.y, epochs=epochs, batch_size=16, validation_data=held, verbose=0)


repaired = Side(faulty, build_model=built("sigmoid"))
