"""Stochastic weight averaging: a callback sets the mean of the weights after each epoch when the training ends."""

from kit import *

data = Data(*waves(120, f=3))


def build_model():
    return keras.Sequential([keras.Input((8, 3)), L.Conv1D(4, 3, activation="tanh"), L.Flatten(), L.Dense(1)])


class Swa(keras.callbacks.Callback):
    def on_train_begin(self, logs=None):
        self.kept = []

    def on_epoch_end(self, epoch, logs=None):
        self.kept.append(self.model.get_weights())

    def on_train_end(self, logs=None):
        self.model.set_weights([np.mean(w, 0) for w in zip(*self.kept)])


fit = lambda **k: (
    lambda model, data, epochs: compile_and_fit(
        optimizer=keras.optimizers.SGD(0.02, momentum=0.9),
        loss="mse",
        batch_size=20,
        fit_options=k and {"callbacks": [Swa()]},
    )(model, data, epochs)
)
first, second = fit(), fit(swa=True)
