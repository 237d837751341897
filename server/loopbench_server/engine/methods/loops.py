"""Loops of steps over the batches of a set, one class per unit that is traced or compiled."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from loopbench.spec import Execution, RunSpec
from loopbench_server.engine.data import Samples
from loopbench_server.engine.methods.indexed import ELEMENT_SPEC
from loopbench_server.engine.tensors import as_tensors

# One graph serves all numbers of batches and both of their sizes, as in Keras.
BATCHES_SPEC = (tf.TensorSpec((None, None), tf.int32),)

Step = Callable[[Any, Any], dict[str, Any]]


class Loop(ABC):
    """Applies ``step`` to batches of ``samples``, which it takes by index."""

    def __init__(self, step: Step, samples: Samples) -> None:
        images, labels = as_tensors(samples)

        def take(index: Any) -> None:
            step(tf.gather(images, index), tf.gather(labels, index))

        # Only the loop needs AutoGraph, which takes about 50 ms for every function that it converts.
        self._take = tf.autograph.experimental.do_not_convert(take)

    @abstractmethod
    def __call__(self, batches: Any) -> None:
        """Apply the step to each row of ``batches``, int32[k, b], with the bits of one call per row."""

    @abstractmethod
    def warm_up(self, batches: Any) -> None:
        """Trace and compile for batches of this shape, which may take a step."""


class EagerLoop(Loop):
    """Nothing is traced."""

    def __call__(self, batches: Any) -> None:
        """See :class:`Loop`."""
        for index in batches:
            self._take(index)

    def warm_up(self, batches: Any) -> None:
        """There is nothing to trace."""


class TracedLoop(Loop):
    """The loop is a graph."""

    def __init__(self, step: Step, samples: Samples) -> None:
        super().__init__(step, samples)

        def over(batches: Any) -> None:
            for row in tf.range(tf.shape(batches)[0]):
                self._take(tf.gather(batches, row))

        self.function = tf.function(over, input_signature=BATCHES_SPEC)

    def __call__(self, batches: Any) -> None:
        """See :class:`Loop`."""
        self.function(batches)

    def warm_up(self, batches: Any) -> None:
        """Take a step."""
        self.function(batches[:1])


class CompiledStepLoop(TracedLoop):
    """The loop is a graph, and XLA compiles the step, as Keras does: so the methods agree bit for bit."""

    def __init__(self, step: Step, samples: Samples) -> None:
        compiled = tf.function(step, jit_compile=True, input_signature=ELEMENT_SPEC, autograph=False)
        super().__init__(compiled, samples)


class CompiledLoop(Loop):
    """XLA compiles the loop together with its steps: faster, but the bits may differ from those of a compiled step.

    The number of steps is that of the rows. TensorFlow makes the bounds of a range constants of the program: as
    arguments, they would make a program for every call.
    """

    def __init__(self, step: Step, samples: Samples) -> None:
        super().__init__(step, samples)

        # A call that is not active compiles the program, and takes no step.
        def several(batches: Any, active: Any) -> None:
            if active:
                for row in tf.range(batches.shape[0]):
                    self._take(tf.gather(batches, row))

        # XLA dissolves a loop of a known single step, and rounds differently then.
        def single(batches: Any, active: Any) -> None:
            row, stop = tf.constant(0), tf.cast(active, tf.int32)
            while row < stop:
                self._take(tf.gather(batches, row))
                row += 1

        self._several = tf.function(several, jit_compile=True)
        self._single = tf.function(single, jit_compile=True)

    def _call(self, batches: Any, *, active: bool) -> None:
        function = self._single if len(batches) == 1 else self._several
        function(batches, tf.constant(active))

    def __call__(self, batches: Any) -> None:
        """See :class:`Loop`."""
        self._call(batches, active=True)

    def warm_up(self, batches: Any) -> None:
        """Compile the program for this shape."""
        self._call(batches, active=False)


LOOPS: dict[Execution, type[Loop]] = {
    Execution.EAGER: EagerLoop,
    Execution.GRAPH: TracedLoop,
    Execution.XLA: CompiledStepLoop,
}


def make_loop(spec: RunSpec, step: Step, samples: Samples) -> Loop:
    """Return the loop of ``spec``; under XLA, several steps per execution are one program."""
    if spec.execution is Execution.XLA and spec.steps_per_execution > 1:
        return CompiledLoop(step, samples)
    return LOOPS[spec.execution](step, samples)
