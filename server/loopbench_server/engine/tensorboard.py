"""TensorBoard logs, the same for every method: scalars by epoch, weight histograms, the graph and hyperparameters."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorboard.plugins.hparams import api as hparams

from loopbench.spec import EpochRecord, FinalMetrics, ReportedMetrics, RunSpec
from loopbench_server.disk import NO_SPACE_ERRNOS, check_writable
from loopbench_server.engine.job import Job
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


def hyperparameters(spec: RunSpec) -> dict[str, str | bool | int | float]:
    """Return the settings of ``spec``, with those of its optimizer and its network, in the forms that HParams shows.

    Unset parameters of an optimizer are left out. Names of methods, losses and the like are written as flags are.
    """
    fields = spec.model_dump(mode="json", exclude={"tensorboard"}, exclude_none=True)
    flat = {name: value for name, value in fields.items() if not isinstance(value, dict)}
    for name in fields.keys() - flat.keys():
        flat |= {name: fields[name].pop("kind"), **fields[name]}
    return {name: _shown(value) for name, value in flat.items()}


def _shown(value: Any) -> str | bool | int | float:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return value.lower().replace("_", "-") if isinstance(value, str) else value


class TensorBoardLogs:
    """Writes ``train`` and ``validation`` below ``folder``, under the tags of Keras's own callback.

    Scalars ``epoch_loss`` and ``epoch_accuracy`` are the metrics that the loop reported, ``epoch_learning_rate`` is the
    optimizer's rate at the end of the epoch. Steps are epochs, from 1. ``final_loss`` and ``final_accuracy`` are
    computed on the final weights. Every method raises the same errors.

    Raises:
        TensorBoardFullError: the file system is full.
        TensorBoardNotWritableError: the folder cannot be created or written for another reason.
    """

    def __init__(self, folder: Path, job: Job) -> None:
        self._folder = folder
        self._job = job
        with _translating_errors(folder):
            # Existing logs are those of an earlier attempt, and would overlay the curves of this one.
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            check_writable(folder)
            # HParams takes the metrics of the folders below the one with the hyperparameters.
            own = tf.summary.create_file_writer(str(folder))
            with own.as_default():
                hparams.hparams(hyperparameters(job.spec))
            own.close()
            self._writers = {
                split: tf.summary.create_file_writer(str(folder / split)) for split in ("train", "validation")
            }
            with self._writers["train"].as_default():
                tf.summary.graph(self._traced_graph())

    def _traced_graph(self) -> tf.Graph:
        signature = [tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in self._job.model.inputs]
        return tf.function(self._job.model).get_concrete_function(*signature).graph

    def write(self, record: EpochRecord) -> None:
        """Write the scalars of an epoch and histograms of its last weights; they are on disk when this returns."""
        step = record.epoch
        with _translating_errors(self._folder):
            self._scalars("epoch", {"train": record.train, "validation": record.validation}, step)
            with self._writers["train"].as_default():
                tf.summary.scalar("epoch_learning_rate", self._job.optimizer.learning_rate, step)
                for variable in self._job.model.weights:
                    tf.summary.histogram(f"{variable.path}/histogram", variable, step)
            for writer in self._writers.values():
                writer.flush()

    def _scalars(self, prefix: str, metrics: Mapping[str, ReportedMetrics | FinalMetrics], step: int) -> None:
        for split, found in metrics.items():
            with self._writers[split].as_default():
                tf.summary.scalar(f"{prefix}_loss", found.loss, step)
                tf.summary.scalar(f"{prefix}_accuracy", found.accuracy, step)

    def finish(self, final_metrics: Mapping[str, FinalMetrics]) -> None:
        """Write the final metrics of each set, then flush and close all files."""
        with _translating_errors(self._folder):
            self._scalars("final", final_metrics, self._job.spec.epochs)
            for writer in self._writers.values():
                writer.close()
