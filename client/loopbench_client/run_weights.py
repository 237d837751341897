"""Final weights that the server sends as an ``.npz`` file."""

import hashlib
import io
import struct
from typing import TYPE_CHECKING

from loopbench.spec import Result
from loopbench_client.errors import ErrorDetails, ServerError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Weights = list[NDArray[np.float32]]

CORRUPT = "the weights that arrived are not the final weights of the run: their digest differs"
HINT = "fetch them again; if the error remains, the store of the server is damaged: restore its backup"


def unpack(packed: bytes, result: Result | None) -> "Weights":
    """The arrays of the file of a run with this result, in the order of ``keras.Model.set_weights``.

    Raises:
        ImportError: NumPy is not installed.
        ServerError: the arrays have another digest, or the bytes are no ``.npz`` file.
    """
    import numpy as np  # noqa: PLC0415  optional

    try:
        with np.load(io.BytesIO(packed), allow_pickle=False) as archive:
            arrays = [archive[name] for name in archive.files]
    except (OSError, ValueError, EOFError, KeyError) as error:
        raise ServerError(ErrorDetails(CORRUPT, "WEIGHTS_CORRUPT"), hint=HINT) from error
    if result is None or _digest(arrays) != result.weights_digest:
        raise ServerError(ErrorDetails(CORRUPT, "WEIGHTS_CORRUPT"), hint=HINT)
    return arrays


def _digest(arrays: "Weights") -> str:
    """The digest of a result: SHA-256 of rank, shape (little-endian int64) and float32 bytes of every variable."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(struct.pack(f"<{1 + array.ndim}q", array.ndim, *array.shape))
        digest.update(array.astype("<f4").tobytes())
    return digest.hexdigest()
