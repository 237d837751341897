"""What every case uses: small data sets, and the names of the library that a case needs."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
import keras
import numpy as np
import tensorflow as tf

from loopbench_diagnose import Data, Side, compile_and_fit, steps

L = keras.layers
__all__ = [
    "Data",
    "L",
    "Side",
    "compile_and_fit",
    "groups",
    "images",
    "keras",
    "np",
    "onehot",
    "steps",
    "table",
    "tf",
    "tokens",
    "waves",
]


def groups(n, classes=3, d=6, seed=0, spread=1.0):
    """float32[n, d] and int64[n]."""
    centres = np.random.default_rng(404).normal(0, 1.4, (classes, d))
    r = np.random.default_rng(seed)
    y = r.integers(0, classes, n)
    return (centres[y] + r.normal(0, spread, (n, d))).astype("float32"), y.astype("int64")


def table(n, d=5, out=1, seed=0, noise=0.1):
    """float32[n, d] and float32[n, out]."""
    w = np.random.default_rng(405).normal(0, 1, (d, out))
    r = np.random.default_rng(seed)
    x = r.normal(0, 1, (n, d))
    return x.astype("float32"), (np.sin(x @ w) + 0.5 * (x @ w) + r.normal(0, noise, (n, out))).astype("float32")


def images(n, classes=3, size=8, ch=1, seed=0):
    """float32[n, size, size, ch] and int64[n]."""
    shapes = np.random.default_rng(406).normal(0, 1, (classes, size, size, ch))
    r = np.random.default_rng(seed)
    y = r.integers(0, classes, n)
    return (shapes[y] + r.normal(0, 0.8, (n, size, size, ch))).astype("float32"), y.astype("int64")


def tokens(n, t=7, vocab=12, seed=0, shortest=2):
    """int32[n, t] with zeros at the end, and the lengths."""
    r = np.random.default_rng(seed)
    lengths = r.integers(shortest, t + 1, n)
    x = r.integers(1, vocab, (n, t))
    return np.where(np.arange(t)[None] < lengths[:, None], x, 0).astype("int32"), lengths


def waves(n, t=8, f=2, seed=0):
    """float32[n, t, f] and float32[n, 1]."""
    r = np.random.default_rng(seed)
    x = np.cumsum(r.normal(0, 0.5, (n, t, f)), 1)
    return x.astype("float32"), (x[:, -1:, 0] - 0.5 * x.mean((1, 2))[:, None]).astype("float32")


def onehot(y, c):
    return np.eye(c, dtype="float32")[np.asarray(y)]
