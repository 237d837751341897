"""TensorBoard logs, the same for every method: scalars by epoch, weight histograms and the graph."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import keras
import tensorflow as tf

from loopbench.spec import EpochRecord, ReportedMetrics
from loopbench_server.disk import NO_SPACE_ERRNOS, check_writable
from loopbench_server.errors import LoopbenchServerError, TensorBoardFullError, TensorBoardNotWritableError


@contextmanager
def _translating_errors(folder: Path) -> Iterator[None]:
    """Raise a domain error where the block cannot write below ``folder``."""
    try:
        yield
    except (OSError, tf.errors.OpError) as error:
        raise _make_error(folder, error) from error


def _make_error(folder: Path, error: OSError | tf.errors.OpError) -> LoopbenchServerError:
    """Return the domain error for ``error``.

    Errors of TensorFlow have no errno and name the folder, which callers must not see: a separate write finds the
    cause.
    """
    if isinstance(error, tf.errors.OpError):
        try:
            check_writable(folder)
        except OSError as found:
            return _make_error(folder, found)
        return TensorBoardNotWritableError("TensorBoard logs cannot be written: TensorFlow cannot write its file")
    kind = TensorBoardFullError if error.errno in NO_SPACE_ERRNOS else TensorBoardNotWritableError
    return kind(f"TensorBoard logs cannot be written: {error.strerror}")


class TensorBoardLogs:
    """Writes ``train`` and ``validation`` below ``folder``, under the tags of Keras's own callback.

    Scalars ``epoch_loss`` and ``epoch_accuracy`` are the metrics that the loop reported; step 0 is the first epoch.
    Every method raises the same errors.

    Raises:
        TensorBoardFullError: the file system is full.
        TensorBoardNotWritableError: the folder cannot be created or written for another reason.
    """

    def __init__(self, folder: Path, model: keras.Model) -> None:
        self._folder = folder
        self._model = model
        with _translating_errors(folder):
            # Existing logs are those of an earlier attempt, and would overlay the curves of this one.
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            check_writable(folder)
            self._train = tf.summary.create_file_writer(str(folder / "train"))
            self._validation = tf.summary.create_file_writer(str(folder / "validation"))
            with self._train.as_default():
                tf.summary.graph(self._traced_graph())

    def _traced_graph(self) -> tf.Graph:
        signature = [tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in self._model.inputs]
        return tf.function(self._model).get_concrete_function(*signature).graph

    def write(self, record: EpochRecord) -> None:
        """Write the scalars of an epoch and histograms of its last weights; they are on disk when this returns."""
        step = record.epoch - 1
        with _translating_errors(self._folder):
            self._scalars(self._train, record.train, step)
            self._scalars(self._validation, record.validation, step)
            with self._train.as_default():
                for variable in self._model.weights:
                    tf.summary.histogram(f"{variable.path}/histogram", variable, step)
            for writer in (self._train, self._validation):
                writer.flush()

    @staticmethod
    def _scalars(writer: tf.summary.SummaryWriter, reported: ReportedMetrics, step: int) -> None:
        with writer.as_default():
            tf.summary.scalar("epoch_loss", reported.loss, step)
            tf.summary.scalar("epoch_accuracy", reported.accuracy, step)

    def close(self) -> None:
        """Flush and close both files."""
        with _translating_errors(self._folder):
            self._train.close()
            self._validation.close()
