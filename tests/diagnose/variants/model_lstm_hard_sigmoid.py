"""Weights of Keras 1 days: the recurrent activation was hard_sigmoid there. train_on_batch on both sides."""

from kit import *

data = Data(*waves(120))


def made(act):
    return lambda: keras.Sequential([keras.Input((8, 2)), L.LSTM(6, recurrent_activation=act), L.Dense(1)])


build_model = made("sigmoid")


def train(model, data, epochs):
    model.compile(optimizer=keras.optimizers.RMSprop(0.01), loss="mae")
    for _ in range(epochs):
        order = np.random.permutation(len(data.x))
        total = 0.0
        for s in range(0, len(order), 24):
            i = order[s : s + 24]
            model.reset_metrics()
            total += float(model.train_on_batch(data.x[i], data.y[i])) * len(i)
    return {"loss": total / len(order)}


first, second = train, Side(train, build_model=made("hard_sigmoid"))
