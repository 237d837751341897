"""Records what losses and metrics are given, and what metrics return at the end."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from loopbench_diagnose.data import have_values, leaves
from loopbench_diagnose.patching import Wrapper
from loopbench_diagnose.recording.course import Course
from loopbench_diagnose.recording.values import float64, is_number
from loopbench_diagnose.trace import LossCall, MeanUse, MetricResult, MetricUse


class Figures:
    """Wraps the losses and metrics of Keras for ``course``."""

    def __init__(self, course: Course) -> None:
        self._course = course
        self._means: dict[int, MeanUse] = {}
        self._metrics: list[Any] = []

    @property
    def wrappers(self) -> list[Wrapper]:
        """What is wrapped."""
        return [
            (keras.losses.Loss, "__call__", self._loss_call),
            (keras.metrics.Metric, "__init__", self._metric_made),
            (keras.metrics.MeanMetricWrapper, "update_state", self._metric_update),
            (keras.metrics.Mean, "update_state", self._mean_update),
            (keras.metrics.Mean, "reset_state", self._mean_reset),
        ]

    def finish(self) -> None:
        """Adds what is read at the end of a training."""
        trace = self._course.trace
        trace.means.extend(use for use in self._means.values() if use.values)
        trace.results = [result for metric in self._metrics if (result := _result(metric)) is not None]

    def _loss_call(self, original: Any) -> Any:
        """Around ``Loss.__call__``: what a Keras loss is given under a tape, or after an evaluation."""

        def call(loss: Any, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
            here = self._course.here
            evaluated = here.evaluated.losses if here.evaluated is not None else None
            losses = here.losses if here.tapes else evaluated
            known = have_values(y_true) and have_values(y_pred) and not type(loss).__name__.startswith("Compile")
            if known and losses is not None:
                losses.append(_loss_call(loss, y_true, y_pred, sample_weight))
            return original(loss, y_true, y_pred, sample_weight)

        return call

    def _metric_update(self, original: Any) -> Any:
        """Around ``MeanMetricWrapper.update_state``, which Keras's accuracies share."""

        def update(metric: Any, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
            # Under a strategy, fit builds its metrics on symbols first.
            if not tf.executing_eagerly() or not have_values(y_true):
                return original(metric, y_true, y_pred, sample_weight)
            sizes = tuple(np.shape(y_true)), tuple(np.shape(y_pred))
            use = self._course.trace.metrics.setdefault(metric.name, MetricUse(type(metric).__name__, *sizes))
            before = float(float64(metric.count))
            result = original(metric, y_true, y_pred, sample_weight)
            use.weighted = use.weighted or sample_weight is not None
            use.counted.append(float(float64(metric.count)) - before)
            use.samples.append(_weight_of(sizes[1][0] if sizes[1] else 1, sample_weight))
            return result

        return update

    def _mean_update(self, original: Any) -> Any:
        """Around ``Mean.update_state``: the values that an epoch's figure is made of."""

        def update(metric: Any, values: Any, sample_weight: Any = None) -> Any:
            if not tf.executing_eagerly() or not hasattr(metric, "total") or not hasattr(metric, "count"):
                return original(metric, values, sample_weight)
            before = float(float64(metric.total)), float(float64(metric.count))
            result = original(metric, values, sample_weight)
            total, count = float(float64(metric.total)) - before[0], float(float64(metric.count)) - before[1]
            use = self._means.setdefault(id(metric), MeanUse(metric.name))
            use.values.append(total / count if count else 0.0)
            use.weights.append(count)
            use.steps_before = self._course.steps_made
            return result

        return update

    def _mean_reset(self, original: Any) -> Any:
        """Around ``Mean.reset_state``."""

        def reset(metric: Any) -> Any:
            use = self._means.pop(id(metric), None)
            if use is not None and use.values:
                # A figure that is read before the reset belongs to these values.
                self._course.trace.means.append(use)
            return original(metric)

        return reset

    def _metric_made(self, original: Any) -> Any:
        """Around ``Metric.__init__``: results and configurations are read at the end."""

        def make(metric: Any, *args: Any, **kwargs: Any) -> None:
            original(metric, *args, **kwargs)
            self._metrics.append(metric)

        return make


def _loss_call(loss: Any, y_true: Any, y_pred: Any, sample_weight: Any) -> LossCall:
    labels, weights = leaves(y_true), leaves(sample_weight)
    name = getattr(getattr(loss, "fn", None), "__name__", None) or type(loss).__name__
    options = dict(getattr(loss, "_fn_kwargs", {}) or {})
    return LossCall(
        name=name,
        options={**options, "reduction": loss.reduction},
        labels=float64(labels[0]) if len(labels) == 1 and is_number(labels[0]) else None,
        weights=float64(weights[0]) if len(weights) == 1 else None,
        has_mask=any(getattr(leaf, "_keras_mask", None) is not None for leaf in leaves(y_pred)),
    )


def _weight_of(samples: int, weights: Any) -> float:
    """Of all samples together."""
    if weights is None:
        return float(samples)
    values = float64(weights)
    return float(values.sum()) if values.ndim else samples * float(values)


def _result(metric: Any) -> MetricResult | None:
    try:
        value = float(np.mean(keras.ops.convert_to_numpy(metric.result())))
        return MetricResult(metric.name, type(metric).__name__, dict(metric.get_config()), value)
    except Exception:  # noqa: BLE001  a user's metric may have no scalar result or no configuration
        return None
