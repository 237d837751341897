"""``Model.compile`` and ``Model.fit``, as Keras has them."""

from typing import Any

import keras

from loopbench.spec import LossAggregation
from loopbench_server.engine.job import Job
from loopbench_server.engine.methods.fitting import FittingMethod
from loopbench_server.engine.metrics import Accuracy, LastBatch


class LastBatchLoss(keras.metrics.Metric):
    """A metric for ``compile`` that works out the loss again and forgets every batch but the last.

    The loss that ``fit`` reports of itself is always the mean; a metric of one's own that does not accumulate is how
    the last batch's loss gets into its logs.
    """

    def __init__(self, loss: keras.losses.Loss) -> None:
        super().__init__(name="last_batch_loss")
        self._loss = loss
        self._last = LastBatch()

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """One-hot labels and raw outputs, both [b, 10]."""
        self._last.update_state(self._loss(y_true, y_pred, sample_weight))

    def result(self) -> Any:
        """A scalar."""
        return self._last.result()

    def reset_state(self) -> None:
        """Before an epoch."""
        self._last.reset_state()


class Fit(FittingMethod):
    """The job's model, compiled with its loss and accuracy metric."""

    def __init__(self, job: Job) -> None:
        if job.spec.loss_aggregation is LossAggregation.LAST_BATCH:
            self.loss_log = "last_batch_loss"
        super().__init__(job)

    def build_model(self) -> keras.Model:
        """The job's network itself."""
        return self.job.model

    def compile_options(self) -> dict[str, Any]:
        """Loss and metrics."""
        metrics: list[keras.metrics.Metric] = [Accuracy(self.job.spec.accuracy_metric)]
        if self.job.spec.loss_aggregation is LossAggregation.LAST_BATCH:
            metrics.append(LastBatchLoss(self.job.loss))
        return {"loss": self.job.loss, "metrics": metrics}
