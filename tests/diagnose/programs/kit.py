"""What every program uses: small data sets, scores, and the names of the library that a program needs."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from loopbench_diagnose import Data, Side, compile_and_fit, steps

L = keras.layers
DIGITS = Path(__file__).parents[3] / "server/loopbench_server/engine/digits.npz"
__all__ = [
    "Data",
    "L",
    "Side",
    "accuracy",
    "blobs",
    "bright_shapes",
    "compile_and_fit",
    "digits",
    "explained",
    "keras",
    "label_accuracy",
    "np",
    "onehot",
    "rings",
    "sentences",
    "split",
    "steps",
    "table",
    "tf",
    "waves",
    "xor",
]


def split(x, y, held=0.25):
    """The samples as `Data`, the last of them as the validation set."""
    n = round(len(x) * (1 - held))
    return Data(x[:n], y[:n], validation=Data(x[n:], y[n:]))


def onehot(y, classes):
    return np.eye(classes, dtype="float32")[np.asarray(y)]


def blobs(n=800, classes=3, d=8, spread=1.0, seed=0):
    """Clouds of points: float32[n, d] and int64[n]."""
    centres = np.random.default_rng(909).normal(0, 1.4, (classes, d))
    r = np.random.default_rng(seed)
    y = r.integers(0, classes, n)
    return (centres[y] + r.normal(0, spread, (n, d))).astype("float32"), y.astype("int64")


def xor(n=800, noise=0.15, seed=0):
    """Four corners, opposite ones of one class: float32[n, 2] and float32[n, 1]."""
    r = np.random.default_rng(seed)
    corner = r.integers(0, 2, (n, 2))
    x = corner * 2.0 - 1 + r.normal(0, noise, (n, 2))
    return x.astype("float32"), (corner[:, :1] ^ corner[:, 1:]).astype("float32")


def rings(n=800, noise=0.1, seed=0):
    """An inner and an outer ring: float32[n, 2] and float32[n, 1]."""
    r = np.random.default_rng(seed)
    y, angle = r.integers(0, 2, n), r.uniform(0, 2 * np.pi, n)
    radius = 0.6 + 0.8 * y + r.normal(0, noise, n)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1).astype("float32"), y[:, None].astype("float32")


def table(n=800, d=6, out=1, noise=0.1, seed=0):
    """Numbers that depend on numbers: float32[n, d] and float32[n, out] of about unit scale."""
    w = np.random.default_rng(910).normal(0, 1, (d, out)) / np.sqrt(d)
    r = np.random.default_rng(seed)
    x = r.normal(0, 1, (n, d))
    return x.astype("float32"), (np.sin(2 * x @ w) + x @ w + r.normal(0, noise, (n, out))).astype("float32")


def waves(n=800, t=12, seed=0):
    """The next value of a noisy sine: float32[n, t, 1] and float32[n, 1]."""
    r = np.random.default_rng(seed)
    phase, speed = r.uniform(0, 2 * np.pi, (n, 1)), r.uniform(0.3, 0.9, (n, 1))
    values = np.sin(phase + speed * np.arange(t + 1)) + r.normal(0, 0.05, (n, t + 1))
    return values[:, :t, None].astype("float32"), values[:, t:].astype("float32")


def digits(n=1000):
    """Handwritten digits of 8 by 8 pixels from 0 to 1: float32[n, 8, 8, 1] and int64[n]."""
    with np.load(DIGITS) as file:
        images, labels = file["images"], file["labels"]
    order = np.random.default_rng(7).permutation(len(images))[:n]
    return (images[order, :, :, None] / 16).astype("float32"), labels[order].astype("int64")


def bright_shapes(n=600, classes=4, size=10, ch=3, seed=0):
    """Pictures with pixels from 0 to 255, with one bright quarter per class: float32[n, size, size, ch] and int64[n]."""
    r = np.random.default_rng(seed)
    y = r.integers(0, classes, n)
    x = r.uniform(0, 120, (n, size, size, ch))
    half = size // 2
    for image, label in zip(x, y, strict=True):
        row, column = divmod(label, 2)
        patch = image[row * half : (row + 1) * half, column * half : (column + 1) * half]
        patch += r.uniform(60, 120)
    return np.clip(x, 0, 255).astype("float32"), y.astype("int64")


def sentences(n=800, t=10, vocab=30, seed=0):
    """Word numbers; class 1 where low words outnumber high ones: int32[n, t] and float32[n, 1]."""
    r = np.random.default_rng(seed)
    lean = r.uniform(0.2, 0.8, (n, 1))
    low = r.uniform(size=(n, t)) < lean
    x = np.where(low, r.integers(1, vocab // 2, (n, t)), r.integers(vocab // 2, vocab, (n, t)))
    return x.astype("int32"), (low.sum(1, keepdims=True) * 2 > t).astype("float32")


def _predicted(model, data):
    held = data.validation
    return np.asarray(model.predict(held.x, verbose=0)), np.asarray(held.y)


def accuracy(model, data):
    """The part of the validation samples that is put into the right class."""
    outputs, y = _predicted(model, data)
    if outputs.shape[-1] == 1:
        middle = 0.5 if outputs.min() >= 0 and outputs.max() <= 1 else 0.0
        return float(np.mean((outputs.ravel() > middle) == (y.ravel() > 0.5)))
    return float(np.mean(outputs.argmax(-1) == (y.argmax(-1) if y.shape == outputs.shape else y)))


def label_accuracy(model, data):
    """The part of all labels that is right, scaled so that the most common answer for each label gives 0."""
    outputs, y = _predicted(model, data)
    constant = np.mean((y.mean(0) > 0.5) == (y > 0.5))
    return float((np.mean((outputs > 0.5) == (y > 0.5)) - constant) / (1 - constant))


def explained(model, data):
    """The part of the targets' variance that is explained; below 0 where a constant would do better."""
    outputs, y = _predicted(model, data)
    return float(1 - np.mean((outputs.reshape(y.shape) - y) ** 2) / np.mean((y - y.mean(0)) ** 2))
