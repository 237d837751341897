"""Time series are classified by convolutions with batch normalization."""

from kit import *

r = np.random.default_rng(41)
label = r.integers(0, 2, 700)
x = np.sin(np.arange(30) * (0.3 + 0.15 * label[:, None]) + r.uniform(0, 6, (700, 1))) + r.normal(0, 0.3, (700, 30))
data = split(x[..., None].astype("float32"), label)
score = accuracy


def build_model():
    inputs = keras.Input((30, 1))
    hidden = inputs
    for _ in range(2):
        hidden = L.ReLU()(L.BatchNormalization()(L.Conv1D(16, 3, padding="same")(hidden)))
    return keras.Model(inputs, L.Dense(2, activation="softmax")(L.GlobalAveragePooling1D()(hidden)))


def loop(model, data, epochs=60):
    slower = keras.callbacks.ReduceLROnPlateau(monitor="val_loss", factor=0.5, patience=5, min_lr=0.0001)
    model.compile(
        optimizer=keras.optimizers.Adam(0.005),
        loss="sparse_categorical_crossentropy",
        metrics=["sparse_categorical_accuracy"],
    )
    held = (data.validation.x, data.validation.y)
    return model.fit(data.x, data.y, batch_size=32, epochs=epochs, callbacks=[slower], validation_data=held, verbose=0)
