"""Converts training callbacks into progress and epoch records."""

import time
from collections.abc import Callable
from typing import Any

import keras

from loopbench.spec import EpochRecord, Progress, ReportedMetrics
from loopbench_server.engine.methods import TrainingMethod
from loopbench_server.engine.sketch import sketch

# More often is of no use to a watcher; reading metrics off the device at every eager step would cost training time.
PROGRESS_INTERVAL_SECONDS = 0.25


class Recorder(keras.callbacks.Callback):
    """Emits :class:`Progress` and :class:`EpochRecord`, and keeps times and history.

    ``history`` holds one record per epoch; ``train_seconds`` and ``evaluate_seconds`` are sums over the epochs.
    """

    def __init__(
        self,
        method: TrainingMethod,
        on_progress: Callable[[Progress], None],
        on_epoch: Callable[[EpochRecord], None],
    ) -> None:
        super().__init__()
        self.history: list[EpochRecord] = []
        self.train_seconds = 0.0
        self.evaluate_seconds = 0.0
        self._method = method
        self._job = method.job
        self._on_progress = on_progress
        self._on_epoch = on_epoch
        self._epoch = 0
        self._train_start = self._train_end = self._next_progress = 0.0

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002  Keras's signature
        """Report the start of the first epoch."""
        self._train_start = time.perf_counter()
        self._report_progress(0, None)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002  Keras's signature
        """Start the epoch's timer."""
        self._epoch = epoch
        self._train_start = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Report progress, at most once per PROGRESS_INTERVAL_SECONDS."""
        if time.perf_counter() >= self._next_progress:
            self._report_progress(batch + 1, logs)

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002  Keras's signature
        """Stop the timer of the training: the validation of the epoch begins."""
        self._train_end = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Record the epoch."""
        logs = logs or {}
        seconds = self._train_end - self._train_start
        self.train_seconds += seconds
        self.evaluate_seconds += time.perf_counter() - self._train_end
        record = EpochRecord(
            epoch=epoch + 1,
            train=self._reported(logs, ""),
            validation=self._reported(logs, "val_"),
            samples=len(self._job.data.train),
            train_seconds=seconds,
            examples_per_second=len(self._job.data.train) / seconds,
            weights_sketch=sketch(self._job.model.get_weights()),
        )
        self.history.append(record)
        self._on_epoch(record)

    def _reported(self, logs: dict[str, Any], prefix: str) -> ReportedMetrics:
        return ReportedMetrics(
            loss=float(logs[prefix + self._method.loss_log]),
            accuracy=float(logs[prefix + self._method.accuracy_log]),
        )

    def _report_progress(self, step: int, logs: dict[str, Any] | None) -> None:
        now = time.perf_counter()
        self._next_progress = now + PROGRESS_INTERVAL_SECONDS
        steps, job = self._job.steps_per_epoch, self._job
        # The last batch may be smaller.
        examples = min(step * job.spec.batch_size, len(job.data.train))
        seconds = self.train_seconds + now - self._train_start
        all_examples = self._epoch * len(job.data.train) + examples
        rate = all_examples / seconds if all_examples else None
        self._on_progress(
            Progress(
                epoch=self._epoch + 1,
                epochs=job.spec.epochs,
                step=step,
                steps_per_epoch=steps,
                train=self._reported(logs, "") if logs else None,
                examples_per_second=rate,
                seconds_left=self._seconds_left(all_examples, rate) if rate else None,
            )
        )

    def _seconds_left(self, examples: int, rate: float) -> float:
        epochs, per_epoch = self._job.spec.epochs, len(self._job.data.train)
        validation = self.evaluate_seconds / len(self.history) if self.history else 0.0
        return (epochs * per_epoch - examples) / rate + (epochs - len(self.history)) * validation
