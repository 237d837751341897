"""Digest of final weights."""

import hashlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray


def weights_digest(weights: Iterable[NDArray[np.float32]]) -> str:
    """Return the SHA-256 in hexadecimal of the arrays' rank, shape (little-endian int64) and float32 bytes."""
    digest = hashlib.sha256()
    for array in weights:
        digest.update(np.asarray((array.ndim, *array.shape), "<i8").tobytes())
        digest.update(np.ascontiguousarray(array, "<f4").tobytes())
    return digest.hexdigest()
