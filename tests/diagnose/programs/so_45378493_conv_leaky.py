"""A series of four channels is classified by convolutions, batch normalization and the softmax of one unit."""

from kit import *

r = np.random.default_rng(18)
x = r.normal(0, 1, (1600, 10, 4)).astype("float32")
y = (x[:, :, 0].max(1) > x[:, :, 1].max(1)).astype("float32")[:, None]
data = split(x, y)
score = accuracy


def built(last):
    def build():
        inputs = keras.Input((10, 4))
        hidden = inputs
        for filters in (12, 12):
            hidden = L.Conv1D(filters, 3, padding="same")(hidden)
            hidden = L.LeakyReLU()(L.BatchNormalization()(hidden))
        hidden = L.Dense(24, activation="relu")(L.GlobalMaxPooling1D()(hidden))
        return keras.Model(inputs, L.Activation(last)(L.Dense(1)(hidden)))

    return build


build_model = built("softmax")


def faulty(model, data, epochs=10):
    slower = keras.callbacks.ReduceLROnPlateau(monitor="val_loss", factor=0.5, patience=8)
    model.compile(optimizer=keras.optimizers.Adam(0.003), loss="binary_crossentropy", metrics=["accuracy"])
    held = (data.validation.x, data.validation.y)
    return model.fit(data.x, data.y, epochs=epochs, batch_size=32, validation_data=held, callbacks=[slower], verbose=0)


repaired = Side(faulty, build_model=built("sigmoid"))
