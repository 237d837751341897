"""Nodes of small graphs exchange messages over their adjacency, as two inputs."""

from kit import *

r = np.random.default_rng(53)
near = (r.uniform(size=(700, 6, 6)) < 0.4).astype("float32")
near = np.maximum(near, near.transpose(0, 2, 1))
value = r.normal(0, 1, (700, 6, 1)).astype("float32")
y = np.tanh((near @ value).mean(1)).astype("float32")
n = 525
data = Data([value[:n], near[:n]], y[:n], validation=Data([value[n:], near[n:]], y[n:]))
score = explained


def build_model():
    nodes, edges = keras.Input((6, 1)), keras.Input((6, 6))
    hidden = L.Dense(16, activation="relu")(L.Dot((2, 1))([edges, nodes]))
    return keras.Model([nodes, edges], L.Dense(1)(L.Dense(16, activation="relu")(L.GlobalAveragePooling1D()(hidden))))


def loop(model, data, epochs=25):
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss="mse")
    held = (data.validation.x, data.validation.y)
    return model.fit(data.x, data.y, epochs=epochs, batch_size=32, validation_data=held, verbose=0)
