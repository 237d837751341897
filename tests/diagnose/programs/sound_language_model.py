"""The next word of a sequence is predicted at every step."""

from kit import *

r = np.random.default_rng(51)
words = np.zeros((700, 13), "int32")
words[:, 0] = r.integers(0, 12, 700)
for t in range(12):
    words[:, t + 1] = np.where(r.uniform(size=700) < 0.9, (words[:, t] * 5 + 3) % 12, r.integers(0, 12, 700))
data = split(words[:, :-1], words[:, 1:])


def build_model():
    return keras.Sequential([keras.Input((12,)), L.Embedding(12, 12), L.GRU(24, return_sequences=True), L.Dense(12)])


def loop(model, data, epochs=10):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss=loss, metrics=["sparse_categorical_accuracy"])
    held = (data.validation.x, data.validation.y)
    return model.fit(data.x, data.y, epochs=epochs, batch_size=32, validation_data=held, verbose=0)
