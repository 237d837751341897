"""Ratings are predicted from embeddings of users and films."""

from kit import *

r = np.random.default_rng(46)
users, films = r.normal(0, 1, (30, 3)), r.normal(0, 1, (40, 3))
pairs = np.stack([r.integers(0, 30, 2400), r.integers(0, 40, 2400)], 1)
ratings = 1 / (1 + np.exp(-np.sum(users[pairs[:, 0]] * films[pairs[:, 1]], 1)))
data = split(pairs.astype("int32"), ratings[:, None].astype("float32"))
score = explained


class Recommender(keras.Model):
    def __init__(self):
        super().__init__()
        self.users, self.films = L.Embedding(30, 8), L.Embedding(40, 8)

    def call(self, inputs):
        product = keras.ops.sum(self.users(inputs[:, 0]) * self.films(inputs[:, 1]), 1, keepdims=True)
        return keras.ops.sigmoid(product)


def build_model():
    model = Recommender()
    model(np.zeros((1, 2), "int32"))
    return model


def loop(model, data, epochs=20):
    model.compile(loss="binary_crossentropy", optimizer=keras.optimizers.Adam(0.01))
    held = (data.validation.x, data.validation.y)
    return model.fit(data.x, data.y, batch_size=32, epochs=epochs, validation_data=held, verbose=0)
