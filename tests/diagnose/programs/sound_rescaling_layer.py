"""Pictures from 0 to 255 with a Rescaling layer as the first of the model."""

from kit import *

data = split(*bright_shapes(600))
score = accuracy


def build_model():
    return keras.Sequential(
        [
            keras.Input((10, 10, 3)),
            L.Rescaling(1 / 255),
            L.Conv2D(8, 3, activation="relu"),
            L.MaxPooling2D(2),
            L.Flatten(),
            L.Dense(4),
        ]
    )


def loop(model, data, epochs=12):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=keras.optimizers.Adam(0.003), loss=loss, metrics=["accuracy"])
    held = (data.validation.x, data.validation.y)
    return model.fit(data.x, data.y, epochs=epochs, batch_size=16, validation_data=held, verbose=0)
