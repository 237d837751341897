"""Records tapes and the gradients that they give: the steps of a training."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from loopbench_diagnose.data import leaves
from loopbench_diagnose.patching import Wrapper
from loopbench_diagnose.recording.course import Course
from loopbench_diagnose.recording.model_calls import silent_calls
from loopbench_diagnose.recording.values import float64, total
from loopbench_diagnose.trace import Arrays, OutputGradient
from loopbench_diagnose.variables import parameters


class Gradients:
    """Wraps ``tf.GradientTape`` for ``course``."""

    def __init__(self, course: Course) -> None:
        self._course = course

    @property
    def wrappers(self) -> list[Wrapper]:
        """What is wrapped."""
        return [
            (tf.GradientTape, "__enter__", self._enter),
            (tf.GradientTape, "__exit__", self._exit),
            (tf.GradientTape, "gradient", self._gradient),
        ]

    def _enter(self, original: Any) -> Any:
        """Around ``GradientTape.__enter__``."""

        def enter(tape: Any) -> Any:
            here = self._course.here
            if here.tapes == 0:
                self._course.end_chain()
                here.pending, here.outputs, here.losses, here.stranger = None, [], [], None
                here.evaluated = None
            here.tapes += 1
            return original(tape)

        return enter

    def _exit(self, original: Any) -> Any:
        """Around ``GradientTape.__exit__``."""

        def leave(tape: Any, *args: Any) -> Any:
            self._course.here.tapes -= 1
            return original(tape, *args)

        return leave

    def _gradient(self, original: Any) -> Any:
        """Around ``GradientTape.gradient``: a step begins."""

        def gradient(tape: Any, target: Any, sources: Any, *args: Any, **kwargs: Any) -> Any:
            here, course = self._course.here, self._course
            flat = tf.nest.flatten(sources)
            self._recognise(flat)
            wanted = here.outputs if here.pending is not None and course.keeps_step and course.has_any(flat) else []
            more = [(leaf, getattr(leaf, "_keras_logits", None)) for leaf in wanted if _is_differentiable(leaf)]
            extra = [tensor for pair in more for tensor in pair if tensor is not None]
            # A gradient may call layers again, whose outputs the loop did not keep.
            with silent_calls(here):
                found_all = original(tape, target, [*flat, *extra], *args, **kwargs)
            gradients = tf.nest.pack_sequence_as(sources, found_all[: len(flat)]) if flat else found_all
            found = course.in_order(found_all[: len(flat)], flat)
            if here.pending is not None and found is not None:
                step = course.begin_step(sum(map(total, leaves(target)), start=0.0), found)
                step.output_gradients = _output_gradients(more, found_all[len(flat) :], step.loss_scale)
                here.tape = tape
            elif found is not None and tape is here.tape:
                self._complete_step(found)
            return gradients

        return gradient

    def _recognise(self, sources: list[Any]) -> None:
        """A loop that takes gradients of a model that it has loaded or copied goes on with that one."""
        here, course = self._course.here, self._course
        if here.stranger is None or course.has_any(sources):
            return
        model, call, outputs = here.stranger
        if not course.steps_made and not course.open.loads:
            course.trace.trains_another_model = True
            return
        own = {id(key) for v in parameters(model) for key in (v, getattr(v, "value", v))}
        if any(id(source) in own for source in sources):
            here.pending, here.outputs, here.stranger = call, outputs, None
            course.go_on_with(model)

    def _complete_step(self, gradients: Arrays) -> None:
        """More gradients from the same tape: of other variables, where every part of a model has its own optimizer."""
        step = self._course.here.step
        if step is not None and step.gradients is not None:
            step.gradients = [
                known if known.any() else new / step.loss_scale
                for known, new in zip(step.gradients, gradients, strict=True)
            ]


def _is_differentiable(leaf: Any) -> bool:
    return tf.is_tensor(leaf) and leaf.dtype.is_floating


def _output_gradients(pairs: Sequence[tuple[Any, Any]], found: Sequence[Any], scale: float) -> list[OutputGradient]:
    """Of every output: its gradient or, where Keras goes by its logits, theirs."""
    rest, made = list(found), []
    for output, logits in pairs:
        of_output = rest.pop(0)
        of_logits = rest.pop(0) if logits is not None else None
        if of_output is None and logits is not None:
            gradient, values = of_logits, logits
        else:
            gradient, values = of_output, output
        known = np.zeros(values.shape) if gradient is None else float64(tf.convert_to_tensor(gradient)) / scale
        made.append(OutputGradient(float64(values), known, values is logits))
    if not any(one.gradient.any() for one in made):
        return []
    return made
