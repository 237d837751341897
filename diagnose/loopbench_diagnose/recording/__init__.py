"""Records a training from outside: what the model, the tape, the optimizer and the metrics are called with.

Keras's and TensorFlow's own classes are wrapped for as long as the training lasts, so that a loop needs no change to be
recorded. Everything runs eagerly meanwhile; otherwise only the first call, the trace, would be seen.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import keras

from loopbench_diagnose.execution import eagerly
from loopbench_diagnose.patching import replaced
from loopbench_diagnose.recording.course import Course, Enough
from loopbench_diagnose.recording.figures import Figures
from loopbench_diagnose.recording.gradients import Gradients
from loopbench_diagnose.recording.loading import Loading
from loopbench_diagnose.recording.model_calls import ModelCalls
from loopbench_diagnose.recording.optimizers import Optimizers
from loopbench_diagnose.recurrent import long_layers_as_graphs
from loopbench_diagnose.trace import Trace

__all__ = ["Enough", "Recorder", "recording"]


class Recorder:
    """All wrappers around one training."""

    def __init__(self, course: Course, calls: ModelCalls) -> None:
        self.course = course
        self._calls = calls
        self._figures = Figures(course)
        self.parts = (calls, Gradients(course), Optimizers(course), self._figures, Loading(course))

    @property
    def first_batch(self) -> int:
        """Samples of the first call under a tape."""
        return self._calls.first_batch

    def finish(self, reported: dict[str, float]) -> Trace:
        """The trace, complete."""
        self.course.finish()
        self._figures.finish()
        self.course.trace.reported = reported
        return self.course.trace


@contextmanager
def recording(
    model: keras.Model,
    *,
    force_training: bool,
    known: frozenset[bytes] = frozenset(),
    forced_inputs: Sequence[Any] = (),
    part_calls: Sequence[int] = (),
) -> Iterator[Recorder]:
    """Records the training of ``model`` within the block, in which everything runs eagerly.

    ``part_calls`` are the numbers of calls that a call of the model makes of each of its parts. ``forced_inputs`` are
    the inputs of the model's calls under a tape, one a call, that replace its outputs.
    """
    course = Course(model, part_calls)
    calls = ModelCalls(course, force_training=force_training, known=known, forced_inputs=forced_inputs)
    recorder = Recorder(course, calls)
    with ExitStack() as stack:
        stack.enter_context(eagerly())
        for part in recorder.parts:
            for owner, name, make in part.wrappers:
                stack.enter_context(replaced(owner, name, make))
        stack.enter_context(course.rng.installed())
        stack.enter_context(long_layers_as_graphs())
        yield recorder
