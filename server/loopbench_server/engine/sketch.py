"""Sketch of the weights: a few sums from which the distance between the weights of two runs can be estimated.

The sketch is the *count sketch* of Charikar, Chen and Farach-Colton ("Finding frequent items in data streams", 2002). A
fixed code for each weight names one of SUMS sums and a sign, and the weight is added to that sum with that sign. The
codes are the bytes of SHAKE-256, so they are the same for every run on every machine.

The sketch is linear: the difference of two sketches is the sketch of the difference. Its squared Euclidean norm has the
squared distance as mean, and a standard deviation of at most sqrt(2 / SUMS) of it (Thorup and Zhang, 2012). A distance
therefore has a relative standard error of about 1 / sqrt(2 * SUMS): 13 %. Equal weights have equal sketches. Rounding
to DECIMALS adds at most sqrt(SUMS) * 10 ** -DECIMALS, which is 6e-9.
"""

import hashlib
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

SUMS = 32
DECIMALS = 9
SEED = b"loopbench weights sketch"


@lru_cache(maxsize=1)
def _codes(size: int) -> NDArray[np.uint8]:
    """Return a code below 2 * SUMS for each of ``size`` weights: the number of its sum, and above SUMS the minus."""
    stream = hashlib.shake_256(SEED).digest(size)
    return np.frombuffer(stream, np.uint8) % np.uint8(2 * SUMS)


def sketch(weights: Iterable[NDArray[Any]]) -> tuple[float, ...]:
    """Return SUMS signed sums of all weights, which are taken in order and flattened by rows."""
    flat = np.concatenate([np.ravel(array) for array in weights])
    sums = np.bincount(_codes(flat.size), weights=flat, minlength=2 * SUMS)
    # Infinite weights of both signs make NaN, without a warning in the notes of the run.
    with np.errstate(invalid="ignore"):
        found: list[float] = np.round(sums[:SUMS] - sums[SUMS:], DECIMALS).tolist()
    return tuple(found)
