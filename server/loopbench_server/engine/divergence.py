"""Finds where a training diverged: its first weights or metrics that are not finite.

Nothing is added to the training graphs, so a sound run keeps its bits. The cost is one check of the weights and one
copy of the state per epoch. A run that diverged repeats its first bad epoch from that copy, update by update, after its
final metrics are computed.
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
    """Return whether no value is NaN or infinite."""
    return all(np.isfinite(array).all() for array in arrays)


def _values(variable: Any) -> NDArray[Any]:
    """Return the variable's own memory on the CPU, which its next update may change; elsewhere a copy."""
    return np.asarray(tf.convert_to_tensor(variable))


class DivergenceMonitor(keras.callbacks.Callback):
    """Finds the first epoch that ends with non-finite weights or reported metrics, and the update that caused it.

    A check at the end of each epoch suffices: a weight that is NaN or infinite never becomes finite again.
    """

    def __init__(self, method: TrainingMethod) -> None:
        super().__init__()
        self._method = method
        self._job = method.job
        self._logged = [prefix + name for prefix in ("", "val_") for name in (method.loss_log, method.accuracy_log)]
        self._epoch: int | None = None
        self._start: list[NDArray[Any]] = []

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002  Keras's signature
        """Create the optimizer's variables, which otherwise appear at the first update."""
        with self._job.strategy.scope():
            self._job.optimizer.build(self._job.model.trainable_variables)
        # Allocated once: new memory in every epoch takes longer than the copies.
        self._start = [np.empty_like(_values(variable)) for variable in self._variables]

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002  Keras's signature
        """Copy the state at the start of the epoch."""
        if self._epoch is None:
            for kept, variable in zip(self._start, self._variables, strict=True):
                np.copyto(kept, _values(variable))

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Check the state at the end of the epoch."""
        if self._epoch is None and not self._is_finite(logs or {}):
            self._epoch = epoch

    @property
    def _variables(self) -> list[Any]:
        return [*self._job.model.variables, *self._job.optimizer.variables]

    def _is_finite(self, logs: Mapping[str, Any]) -> bool:
        figures = [np.asarray(logs[name]) for name in self._logged if name in logs]
        return are_finite(figures) and are_finite(map(_values, self._job.model.variables))

    def find(self, *, finite_end: bool) -> Divergence | None:
        """Return the divergence, if there was one. This trains: weights and optimizer are unusable afterwards.

        Args:
            finite_end: whether the final weights and metrics are finite; a divergence that only they show is attributed
                to the last update.
        """
        steps = self._job.steps_per_epoch
        if self._epoch is None:
            return None if finite_end else Divergence(epoch=self._job.spec.epochs, step=steps)
        for variable, value in zip(self._variables, self._start, strict=True):
            variable.assign(value)
        # The default is for a divergence that only the validation shows.
        bad = (number for number, logs in enumerate(self._method.replay(self._epoch), 1) if not self._is_finite(logs))
        return Divergence(epoch=self._epoch + 1, step=next(bad, steps))
