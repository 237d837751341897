"""A siamese network with contrastive loss: two pictures of the same digit are close."""

from kit import *

images, labels = digits(1400)
r = np.random.default_rng(31)
left = r.integers(0, len(images), 1600)
same = [r.choice(np.flatnonzero(labels == labels[i])) for i in left]
other = [r.choice(np.flatnonzero(labels != labels[i])) for i in left]
y = r.integers(0, 2, 1600)
right = np.where(y == 0, same, other)
n = 1200
data = Data(
    [images[left[:n]], images[right[:n]]],
    y[:n, None].astype("float32"),
    validation=Data([images[left[n:]], images[right[n:]]], y[n:, None].astype("float32")),
)


def build_model():
    tower = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            L.Flatten(),
            L.Dense(48, activation="relu"),
            L.Dense(12),
        ]
    )
    first, second = keras.Input((8, 8, 1)), keras.Input((8, 8, 1))
    far = L.Lambda(lambda pair: keras.ops.norm(pair[0] - pair[1] + 1e-6, axis=1, keepdims=True))(
        [tower(first), tower(second)]
    )
    return keras.Model([first, second], far)


def contrastive(y, far):
    return keras.ops.mean((1 - y) * keras.ops.square(far) + y * keras.ops.square(keras.ops.maximum(1 - far, 0)))


def loop(model, data, epochs=20):
    model.compile(loss=contrastive, optimizer=keras.optimizers.Adam(0.003))
    held = (data.validation.x, data.validation.y)
    return model.fit(data.x, data.y, validation_data=held, batch_size=32, epochs=epochs, verbose=0)


def score(model, data):
    far = model.predict(data.validation.x, verbose=0)
    return float(np.mean((far > 0.5) == (data.validation.y > 0.5)))
