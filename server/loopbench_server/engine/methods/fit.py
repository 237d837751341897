"""Keras's own ``Model.compile`` and ``Model.fit``."""

from typing import Any

import keras

from loopbench.spec import LossAggregation
from loopbench_server.engine.job import Job
from loopbench_server.engine.methods.fitting import FittingMethod
from loopbench_server.engine.metrics import Accuracy, LastBatch


class LastBatchLoss(keras.metrics.Metric):
    """Metric for ``compile`` that computes the loss again and keeps that of the last batch only.

    ``fit`` always reports the mean loss; the last batch's loss appears in its logs through a custom metric without
    accumulation.
    """

    def __init__(self, loss: keras.losses.Loss) -> None:
        super().__init__(name="last_batch_loss")
        self._loss = loss
        self._last = LastBatch()

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Set the loss of one-hot labels and raw outputs, both [b, 10]."""
        self._last.update_state(self._loss(y_true, y_pred, sample_weight))

    def result(self) -> Any:
        """Return a scalar."""
        return self._last.result()

    def reset_state(self) -> None:
        """Reset before an epoch."""
        self._last.reset_state()


class Fit(FittingMethod):
    """The job's model, compiled with its loss and accuracy metric."""

    def __init__(self, job: Job) -> None:
        if job.spec.loss_aggregation is LossAggregation.LAST_BATCH:
            self.loss_log = "last_batch_loss"
        super().__init__(job)

    def build_model(self) -> keras.Model:
        """Return the job's network itself."""
        return self.job.model

    def compile_options(self) -> dict[str, Any]:
        """Return loss and metrics."""
        metrics: list[keras.metrics.Metric] = [Accuracy(self.job.spec.accuracy_metric)]
        if self.job.spec.loss_aggregation is LossAggregation.LAST_BATCH:
            metrics.append(LastBatchLoss(self.job.loss))
        return {"loss": self.job.loss, "metrics": metrics}
