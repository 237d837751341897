"""The validation figures of one side come from averaged weights, which are then taken out again."""

from kit import *

x, y = table(150)
data = Data(x[:120], y[:120], validation=Data(x[120:], y[120:]))


def build_model():
    return keras.Sequential([keras.Input((5,)), L.Dense(8, activation="relu"), L.Dense(1)])


first = compile_and_fit(optimizer=keras.optimizers.Adam(0.02), loss="mse", batch_size=20)


def loop(averaged):
    def run(model, data, epochs):
        opt = keras.optimizers.Adam(0.02)
        mse = keras.losses.MeanSquaredError()
        ema = model.get_weights()
        v = data.validation
        for _ in range(epochs):
            seen = keras.metrics.Mean()
            for a, b in tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(120).batch(20):
                with tf.GradientTape() as tape:
                    loss = mse(b, model(a, training=True))
                opt.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))
                seen.update_state(loss, sample_weight=len(a))
                ema = [0.95 * e + 0.05 * w for e, w in zip(ema, model.get_weights())]
            raw = model.get_weights()
            if averaged:
                model.set_weights(ema)
            val = float(mse(v.y, model(v.x, training=False)))
            model.set_weights(raw)
        return {"loss": float(seen.result()), "val_loss": val}

    return run


second, fixed_second = loop(True), loop(False)
