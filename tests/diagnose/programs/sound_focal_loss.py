"""Imbalanced classes with the focal loss."""

from kit import *

r = np.random.default_rng(50)
y = (r.uniform(size=1500) < 0.15).astype("float32")[:, None]
data = split((r.normal(0, 1, (1500, 6)) + 1.8 * y).astype("float32"), y)
score = accuracy


def build_model():
    return keras.Sequential([keras.Input((6,)), L.Dense(16, activation="relu"), L.Dense(1, activation="sigmoid")])


def loop(model, data, epochs=20):
    loss = keras.losses.BinaryFocalCrossentropy(gamma=2.0)
    model.compile(optimizer=keras.optimizers.Adam(0.005), loss=loss, metrics=[keras.metrics.AUC(name="auc")])
    held = (data.validation.x, data.validation.y)
    return model.fit(data.x, data.y, epochs=epochs, batch_size=32, validation_data=held, verbose=0)
