"""Records what optimizers are given, and the updates that they make."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from loopbench_diagnose.patching import Wrapper
from loopbench_diagnose.recording.course import Course
from loopbench_diagnose.recording.values import float64, same, total
from loopbench_diagnose.replicas import OUTSIDE, replica
from loopbench_diagnose.trace import Arrays, Step, Update


class Optimizers:
    """Wraps the optimizers of Keras for ``course``."""

    def __init__(self, course: Course) -> None:
        self._course = course

    @property
    def wrappers(self) -> list[Wrapper]:
        """What is wrapped."""
        optimizer, scaling = keras.optimizers.Optimizer, keras.optimizers.LossScaleOptimizer
        return [
            (optimizer, "apply", self._apply),
            (optimizer, "scale_loss", self._scale_loss),
            (scaling, "apply", self._scaling_apply),
            (scaling, "scale_loss", self._scale_loss),
        ]

    def _apply(self, original: Any) -> Any:
        """Around ``Optimizer.apply``; a loss scale optimizer calls its inner optimizer's with what is applied."""

        def apply(optimizer: Any, grads: Any, trainable_variables: Any = None) -> Any:
            variables = optimizer._trainable_variables if trainable_variables is None else trainable_variables  # noqa: SLF001
            grads, variables = list(grads), list(variables)
            _add_new(self._course.trace.optimizers, optimizer)
            applied = self._course.in_order(grads, variables)
            step = self._course.here.step
            if step is not None and applied is not None:
                self._note_applied(step, applied, variables)
            if applied is None or replica() != OUTSIDE:
                return original(optimizer, grads, variables)
            before = self._course.weights()
            rate = _rate(optimizer)
            result = original(optimizer, grads, variables)
            self._applied(optimizer, grads, variables, rate, before)
            return result

        return apply

    def _note_applied(self, step: Step, applied: Arrays, variables: list[Any]) -> None:
        """Of several optimizers after one gradient, each adds its own variables."""
        own = set(map(self._course.place, variables))
        if step.gradients is not None:
            before = step.applied or applied
            step.applied = [
                new if place in own else old for place, (old, new) in enumerate(zip(before, applied, strict=True))
            ]
        step.updated = True

    def _applied(
        self, optimizer: Any, grads: list[Any], variables: list[Any], rate: float | None, before: Arrays
    ) -> None:
        course = self._course
        update = course.open
        if not update.steps and course.trace.updates_made:
            # A second optimizer, or a second call, after the same gradient.
            update = course.trace.updates_made[-1]
        after = course.weights()
        for gradient, variable in zip(grads, variables, strict=True):
            place = course.place(variable)
            if place is None or gradient is None:
                continue
            _add_gradient(update, place, gradient, accumulates=_accumulates(optimizer))
            update.optimizers[place] = optimizer
            if rate is not None:
                update.rates[place] = rate
            update.iterations[place] = int(float64(optimizer.iterations))
        update.complete = not _accumulates(optimizer) or not same(before, after)
        if update.complete:
            _divide_accumulated(update, optimizer)
            course.complete(update, after)

    def _scale_loss(self, original: Any) -> Any:
        """Around ``Optimizer.scale_loss``."""

        def scaled(optimizer: Any, loss: Any) -> Any:
            result = original(optimizer, loss)
            before, after = total(loss), total(result)
            self._course.here.loss_scale = after / before if before and np.isfinite(after / before) else 1.0
            return result

        return scaled

    def _scaling_apply(self, original: Any) -> Any:
        """Around ``LossScaleOptimizer.apply``, which calls its inner optimizer's."""

        def apply(optimizer: Any, *args: Any, **kwargs: Any) -> Any:
            _add_new(self._course.trace.scaling_optimizers, optimizer)
            # Where the scale was too large, no update is made; that is chance, and no fewer updates.
            step = self._course.here.step
            if step is not None:
                step.updated = True
            return original(optimizer, *args, **kwargs)

        return apply


def _add_new(known: list[Any], optimizer: Any) -> None:
    if all(one is not optimizer for one in known):
        known.append(optimizer)


def _add_gradient(update: Update, place: int, gradient: Any, *, accumulates: bool) -> None:
    if isinstance(gradient, tf.IndexedSlices):
        update.by_row.add(place)
    value = float64(tf.convert_to_tensor(gradient))
    adds = accumulates and place in update.applied
    update.applied[place] = update.applied[place] + value if adds else value


def _divide_accumulated(update: Update, optimizer: Any) -> None:
    """Keras applies the mean of the gradients that it has accumulated."""
    if steps := getattr(optimizer, "gradient_accumulation_steps", None):
        own = [place for place, made in update.optimizers.items() if made is optimizer]
        update.applied.update({place: update.applied[place] / steps for place in own})


def _accumulates(optimizer: Any) -> bool:
    return bool(getattr(optimizer, "gradient_accumulation_steps", None))


def _rate(optimizer: Any) -> float | None:
    try:
        return float(float64(optimizer.learning_rate))
    except Exception:  # noqa: BLE001  a user's optimizer may have no rate
        return None
