"""TensorBoard logs, the same for every method: scalars by epoch, weight histograms and the graph."""

import shutil
from pathlib import Path

import keras
import tensorflow as tf

from loopbench.spec import EpochRecord, Reported
from loopbench_server.errors import TensorBoardNotWritableError


class TensorBoardLogs:
    """Writes ``train`` and ``validation`` below ``folder``, under the tags that Keras's own callback uses.

    Scalars ``epoch_loss`` and ``epoch_accuracy`` are what the loop reported; step 0 is the first epoch.

    Raises:
        TensorBoardNotWritableError: the folder cannot be made.
    """

    def __init__(self, folder: Path, model: keras.Model) -> None:
        try:
            # What is there is from an attempt before, and would overlay the curves of this one.
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
        except OSError as error:
            raise TensorBoardNotWritableError(f"TensorBoard logs cannot be written: {error.strerror}") from error
        self._model = model
        self._train = tf.summary.create_file_writer(str(folder / "train"))
        self._validation = tf.summary.create_file_writer(str(folder / "validation"))
        with self._train.as_default():
            tf.summary.graph(self._traced_graph())

    def _traced_graph(self) -> tf.Graph:
        signature = [tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in self._model.inputs]
        return tf.function(self._model).get_concrete_function(*signature).graph

    def write(self, record: EpochRecord) -> None:
        """The scalars of an epoch, and histograms of the weights it ended with."""
        step = record.epoch - 1
        self._scalars(self._train, record.train, step)
        self._scalars(self._validation, record.validation, step)
        with self._train.as_default():
            for variable in self._model.weights:
                tf.summary.histogram(f"{variable.path}/histogram", variable, step)

    @staticmethod
    def _scalars(writer: tf.summary.SummaryWriter, reported: Reported, step: int) -> None:
        with writer.as_default():
            tf.summary.scalar("epoch_loss", reported.loss, step)
            tf.summary.scalar("epoch_accuracy", reported.accuracy, step)

    def close(self) -> None:
        """Flushes both files."""
        self._train.close()
        self._validation.close()
