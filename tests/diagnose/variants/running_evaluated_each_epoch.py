"""The loop reports the training accuracy of Model.evaluate after every epoch, and not that of the epoch."""

from kit import *

data = Data(*groups(121, spread=2.0))
ce = "sparse_categorical_crossentropy"


def build_model():
    return keras.Sequential([keras.Input((6,)), L.Dense(9, activation="gelu"), L.Dense(3, activation="softmax")])


first = compile_and_fit(optimizer=keras.optimizers.SGD(0.1), loss=ce, metrics=["accuracy"], batch_size=11)


def loop(evaluate):
    def run(model, data, epochs):
        model.compile(optimizer=keras.optimizers.SGD(0.1), loss=ce, metrics=["accuracy"])
        out = {}
        for _ in range(epochs):
            model.reset_metrics()
            order = np.random.permutation(len(data.x))
            seen = []
            for start in range(0, len(order), 11):
                rows = order[start : start + 11]
                seen.append((len(rows), model.train_on_batch(data.x[rows], data.y[rows], return_dict=True)))
            total = sum(n for n, _ in seen)
            out = {k: sum(n * float(f[k]) for n, f in seen) / total for k in ("loss", "accuracy")}
            if evaluate:
                out = model.evaluate(data.x, data.y, verbose=0, return_dict=True)
        return out

    return run


second, fixed_second = loop(True), loop(False)
