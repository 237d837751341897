"""EarlyStopping(restore_best_weights=True) with the mode the wrong way round brings the first epoch's weights back."""

from kit import *

x, y = groups(150)
data = Data(x[:120], y[:120], validation=Data(x[120:], y[120:]))


def build_model():
    return keras.Sequential([keras.Input((6,)), L.Dense(10, activation="relu"), L.Dense(3, activation="softmax")])


def fit(mode):
    def run(model, data, epochs):
        model.compile(optimizer=keras.optimizers.SGD(0.1), loss="sparse_categorical_crossentropy")
        v = data.validation
        return model.fit(
            data.x,
            data.y,
            validation_data=(v.x, v.y),
            epochs=epochs,
            batch_size=20,
            verbose=0,
            callbacks=[keras.callbacks.EarlyStopping("val_loss", mode=mode, patience=9, restore_best_weights=True)],
        )

    return run


first, second = fit("min"), fit("max")
fixed_second = compile_and_fit(
    optimizer=keras.optimizers.SGD(0.1), loss="sparse_categorical_crossentropy", batch_size=20
)
