"""TensorBoard logs, the same for every method: scalars by epoch, weight histograms and the graph."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import keras
import tensorflow as tf

from loopbench.spec import EpochRecord, ReportedMetrics
from loopbench_server.disk import FULL, probe
from loopbench_server.errors import LoopbenchServerError, TensorBoardFullError, TensorBoardNotWritableError


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Names the fault of the machine where the block cannot write below ``folder``."""
    try:
        yield
    except (OSError, tf.errors.OpError) as error:
        raise _refusal(folder, error) from error


def _refusal(folder: Path, error: OSError | tf.errors.OpError) -> LoopbenchServerError:
    """TensorFlow's own errors have no errno, and name the folder, which callers must not see: the system is asked."""
    if isinstance(error, tf.errors.OpError):
        try:
            probe(folder)
        except OSError as found:
            return _refusal(folder, found)
        return TensorBoardNotWritableError("TensorBoard logs cannot be written: TensorFlow cannot write its file")
    kind = TensorBoardFullError if error.errno in FULL else TensorBoardNotWritableError
    return kind(f"TensorBoard logs cannot be written: {error.strerror}")


class TensorBoardLogs:
    """Writes ``train`` and ``validation`` below ``folder``, under the tags that Keras's own callback uses.

    Scalars ``epoch_loss`` and ``epoch_accuracy`` are what the loop reported; step 0 is the first epoch. Every method
    raises the same errors.

    Raises:
        TensorBoardFullError: the file system has no room.
        TensorBoardNotWritableError: the folder cannot be made or written for another reason.
    """

    def __init__(self, folder: Path, model: keras.Model) -> None:
        self._folder = folder
        self._model = model
        with _writing(folder):
            # What is there is from an attempt before, and would overlay the curves of this one.
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            probe(folder)
            self._train = tf.summary.create_file_writer(str(folder / "train"))
            self._validation = tf.summary.create_file_writer(str(folder / "validation"))
            with self._train.as_default():
                tf.summary.graph(self._traced_graph())

    def _traced_graph(self) -> tf.Graph:
        signature = [tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in self._model.inputs]
        return tf.function(self._model).get_concrete_function(*signature).graph

    def write(self, record: EpochRecord) -> None:
        """The scalars of an epoch, and histograms of the weights it ended with, on the disk when this returns."""
        step = record.epoch - 1
        with _writing(self._folder):
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
        with _writing(self._folder):
            self._train.close()
            self._validation.close()
