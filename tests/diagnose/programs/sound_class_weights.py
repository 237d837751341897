"""Imbalanced classes: one of twenty samples is positive and counts more by class weights."""

from kit import *

r = np.random.default_rng(33)
y = (r.uniform(size=2000) < 0.06).astype("float32")[:, None]
x = (r.normal(0, 1, (2000, 8)) + 1.6 * y).astype("float32")
data = split(x, y)


def build_model():
    return keras.Sequential(
        [
            keras.Input((8,)),
            L.Dense(24, activation="relu"),
            L.Dropout(0.2),
            L.Dense(1, activation="sigmoid"),
        ]
    )


def loop(model, data, epochs=12):
    positive = float(data.y.mean())
    weights = {0: 0.5 / (1 - positive), 1: 0.5 / positive}
    metrics = [keras.metrics.Precision(name="precision"), keras.metrics.Recall(name="recall")]
    model.compile(optimizer=keras.optimizers.Adam(0.003), loss="binary_crossentropy", metrics=metrics)
    held = (data.validation.x, data.validation.y)
    return model.fit(
        data.x, data.y, epochs=epochs, batch_size=64, class_weight=weights, validation_data=held, verbose=0
    )
