"""The samples are a tf.data pipeline with cache, shuffle, batch and prefetch."""

from kit import *

data = split(*blobs(1000, classes=4, d=8))
score = accuracy


def build_model():
    return keras.Sequential([keras.Input((8,)), L.Dense(24, activation="relu"), L.Dense(4, activation="softmax")])


def loop(model, data, epochs=12):
    samples = tf.data.Dataset.from_tensor_slices((data.x, data.y))
    held = tf.data.Dataset.from_tensor_slices((data.validation.x, data.validation.y)).batch(32)
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    batches = samples.cache().shuffle(1000).batch(32).prefetch(2)
    return model.fit(batches, epochs=epochs, validation_data=held, verbose=0)
