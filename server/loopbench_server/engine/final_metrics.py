"""Final metrics: computed on given weights over a whole set, independent of any accuracy metric."""

import keras
import numpy as np

from loopbench.spec import FinalMetrics, Loss
from loopbench_server.engine.data import Samples
from loopbench_server.engine.losses import LOSSES
from loopbench_server.engine.tensors import as_tensors


def compute_final_metrics(model: keras.Model, samples: Samples, loss: Loss) -> FinalMetrics:
    """Count the samples that ``model`` classifies correctly, and average their losses in float64."""
    outputs = model(as_tensors(samples)[0], training=False).numpy()
    correct = int((outputs.argmax(axis=1) == samples.labels).sum())
    losses = LOSSES[loss].per_sample(samples.one_hot.astype(np.float64), outputs.astype(np.float64))
    return FinalMetrics(loss=float(losses.mean()), accuracy=correct / len(losses), correct=correct, samples=len(losses))
