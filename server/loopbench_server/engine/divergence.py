"""Where a training left the finite numbers.

Nothing is added to the graphs that train, so a healthy run keeps its bits. It pays for one check of its weights and one
copy of its state in every epoch. A run that diverged repeats its first bad epoch from that copy, update by update, once
its weights and figures are known.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from loopbench.spec import Divergence
from loopbench_server.engine.methods import TrainingMethod


def are_finite(arrays: Iterable[NDArray[Any]]) -> bool:
    """Whether no value is NaN or infinite."""
    return all(np.isfinite(array).all() for array in arrays)


def _values(variable: Any) -> NDArray[Any]:
    """On the CPU the variable's memory itself, which its next update may write to; elsewhere a copy."""
    return np.asarray(tf.convert_to_tensor(variable))


class DivergenceMonitor(keras.callbacks.Callback):
    """Finds the first epoch that ends with weights or reported figures that are not finite, and the update of it.

    The end of an epoch is enough: a weight that is NaN or infinite never becomes finite again.
    """

    def __init__(self, method: TrainingMethod) -> None:
        super().__init__()
        self._method = method
        self._job = method.job
        self._logged = [prefix + name for prefix in ("", "val_") for name in (method.loss_log, method.accuracy_log)]
        self._epoch: int | None = None
        self._start: list[NDArray[Any]] = []

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002  Keras's signature
        """Makes the optimizer's variables, which would come with the first update otherwise."""
        with self._job.strategy.scope():
            self._job.optimizer.build(self._job.model.trainable_variables)
        # Once: memory that is new in every epoch takes longer than what is copied into it.
        self._start = [np.empty_like(_values(variable)) for variable in self._variables]

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002  Keras's signature
        """Keeps the state that the epoch starts from."""
        if self._epoch is None:
            for kept, variable in zip(self._start, self._variables, strict=True):
                np.copyto(kept, _values(variable))

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Looks at the epoch."""
        if self._epoch is None and not self._is_finite(logs or {}):
            self._epoch = epoch

    @property
    def _variables(self) -> list[Any]:
        return [*self._job.model.variables, *self._job.optimizer.variables]

    def _is_finite(self, logs: Mapping[str, Any]) -> bool:
        figures = [np.asarray(logs[name]) for name in self._logged if name in logs]
        return are_finite(figures) and are_finite(map(_values, self._job.model.variables))

    def find(self, *, finite_end: bool) -> Divergence | None:
        """The divergence, if there was one. Trains: weights and optimizer are of no use afterwards.

        Args:
            finite_end: whether the final weights and the figures counted on them are finite; what only comes with
                them counts for the last update.
        """
        steps = self._job.steps_per_epoch
        if self._epoch is None:
            return None if finite_end else Divergence(epoch=self._job.spec.epochs, step=steps)
        for variable, value in zip(self._variables, self._start, strict=True):
            variable.assign(value)
        # In the validation alone, where no step shows it.
        bad = (number for number, logs in enumerate(self._method.replay(self._epoch), 1) if not self._is_finite(logs))
        return Divergence(epoch=self._epoch + 1, step=next(bad, steps))
