"""An autoencoder whose train_step hands only the decoder's variables to the optimizer."""

from kit import *

x = groups(130, d=8)[0]
data = Data(x, x)


def kind(part):
    class Auto(keras.Model):
        def __init__(self):
            super().__init__()
            self.encoder = keras.Sequential([keras.Input((8,)), L.Dense(6, activation="relu"), L.Dense(3)])
            self.decoder = keras.Sequential([keras.Input((3,)), L.Dense(6, activation="relu"), L.Dense(8)])

        def call(self, x):
            return self.decoder(self.encoder(x))

        def train_step(self, pair):
            a, b = pair
            with tf.GradientTape() as tape:
                loss = self.compute_loss(y=b, y_pred=self(a, training=True))
            vs = part(self).trainable_variables
            self.optimizer.apply_gradients(zip(tape.gradient(loss, vs), vs))
            self._loss_tracker.update_state(loss, sample_weight=tf.shape(a)[0])
            return {"loss": self._loss_tracker.result()}

    return Auto


build_model = kind(lambda m: m)
fit = compile_and_fit(optimizer=keras.optimizers.Adamax(0.02), loss="mse", batch_size=26)
first, second = fit, Side(fit, build_model=kind(lambda m: m.decoder))
fixed_second = compile_and_fit(optimizer=keras.optimizers.Adamax(0.02), loss="mse", batch_size=26, stock_steps=True)
