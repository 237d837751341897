"""The embedding matrix comes from a table of word vectors; one side forgets to load it."""

from kit import *

x, n = tokens(120, vocab=15)
data = Data(x, (n > 4).astype("float32")[:, None])
own_start = True
vectors = np.random.default_rng(8).normal(0, 1, (15, 6)).astype("float32")


def made(load):
    def build():
        m = keras.Sequential(
            [
                keras.Input((7,), dtype="int32"),
                L.Embedding(15, 6, name="words"),
                L.GlobalMaxPooling1D(),
                L.Dense(1, activation="sigmoid"),
            ]
        )
        if load:
            m.get_layer("words").set_weights([vectors])
        return m

    return build


build_model = made(True)
fit = compile_and_fit(
    optimizer=keras.optimizers.RMSprop(0.01), loss="binary_crossentropy", metrics=["accuracy"], batch_size=24
)
first, second = fit, Side(fit, build_model=made(False))
