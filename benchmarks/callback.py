"""Overhead of ``DiagnoseCallback`` over the training itself, without the diagnosis at the end.

Run ``python -m benchmarks.callback``. Trainings with and without the callback alternate on one compiled model.
"""

import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

from benchmarks.figures import ratios, spread
from loopbench_diagnose import DiagnoseCallback

ROUNDS = 15
EPOCHS = 10


class _Training(DiagnoseCallback):
    """The observation, with the time at the end of the training: the diagnosis is measured by itself."""

    end = 0.0
    seconds = 0.0

    def on_train_end(self, logs: object = None) -> None:
        self.end = time.perf_counter()
        super().on_train_end(logs)
        self.seconds = time.perf_counter() - self.end


def _model() -> keras.Model:
    layers = [keras.Input((20,)), keras.layers.Dense(64, activation="relu"), keras.layers.Dense(1, "sigmoid")]
    model = keras.Sequential(layers)
    model.compile(optimizer="adam", loss="binary_crossentropy", metrics=["accuracy"])
    return model


def main() -> None:
    """Prints the ratio of both, and the seconds of the diagnosis."""
    random = np.random.default_rng(0)
    x = random.normal(size=(2_000, 20)).astype("float32")
    y = (x @ random.normal(size=20) > 0).astype("float32")
    model = _model()
    model.fit(x, y, epochs=1, verbose=0)
    plain, observed, diagnoses = [], [], []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        model.fit(x, y, epochs=EPOCHS, verbose=0)
        plain.append(time.perf_counter() - start)
        callback = _Training(show=False)
        start = time.perf_counter()
        model.fit(x, y, epochs=EPOCHS, verbose=0, callbacks=[callback])
        observed.append(callback.end - start)
        diagnoses.append(callback.seconds)
    ratio, seconds = ratios(observed, plain), spread(diagnoses)
    print(f"training with the callback over without: {ratio.median:.3f} ({ratio.low:.3f} to {ratio.high:.3f})")
    print(f"diagnosis at the end: {seconds.median:.1f} s ({seconds.low:.1f} to {seconds.high:.1f})")


if __name__ == "__main__":
    main()
