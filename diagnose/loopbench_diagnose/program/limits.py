"""Ends a training after a time or a number of updates, wherever its loop comes to next."""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import keras
import tensorflow as tf

from loopbench_diagnose.effects import learning_rate
from loopbench_diagnose.patching import replaced
from loopbench_diagnose.recording import Enough
from loopbench_diagnose.recording.values import float64


class Limit:
    """``seconds`` since the start, and ``updates`` of all optimizers together; None is no limit.

    ``reached`` says that the training was ended.
    """

    def __init__(self, seconds: float | None = None, updates: int | None = None) -> None:
        self._end = None if seconds is None else time.monotonic() + seconds
        self._most = updates
        self._optimizers: dict[int, tuple[Any, int]] = {}
        self._first_rates: set[float | None] = set()
        self._thread = threading.get_ident()
        self.reached = False

    def know(self, optimizer: Any) -> None:
        """Counts the updates of ``optimizer`` from here on."""
        if id(optimizer) not in self._optimizers:
            # Where a graph is traced, its variables have values outside of it.
            with tf.init_scope():
                start = int(float64(optimizer.iterations)) if optimizer.built else 0
                self._first_rates.add(learning_rate(optimizer))
            self._optimizers[id(optimizer)] = optimizer, start

    @property
    def updates(self) -> int:
        """Updates so far."""
        return sum(int(float64(one.iterations)) - start for one, start in self._optimizers.values() if one.built)

    @property
    def rates(self) -> set[float]:
        """Learning rates of all optimizers before their first updates and now, without those of schedules."""
        now = {learning_rate(one) for one, _ in self._optimizers.values()}
        return {rate for rate in self._first_rates | now if rate is not None}

    def check(self) -> None:
        """Ends the training where a limit is reached.

        Raises:
            Enough: it is.
        """
        if threading.get_ident() != self._thread or not tf.executing_eagerly():
            return
        late = self._end is not None and time.monotonic() > self._end
        if late or (self._most is not None and self.updates >= self._most):
            self.reached = True
            raise Enough


@contextmanager
def limited(limit: Limit) -> Iterator[None]:
    """The block ends at ``limit``, before an update that exceeds it."""

    def checked(original: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            limit.check()
            return original(*args, **kwargs)

        return call

    def applying(original: Any) -> Any:
        def apply(optimizer: Any, *args: Any, **kwargs: Any) -> Any:
            limit.know(optimizer)
            return original(optimizer, *args, **kwargs)

        return apply

    with ExitStack() as stack:
        stack.enter_context(replaced(tf.GradientTape, "__enter__", checked))
        stack.enter_context(replaced(type(tf.function(lambda: None)), "__call__", checked))
        stack.enter_context(replaced(keras.optimizers.Optimizer, "apply", applying))
        try:
            yield
        except Enough:
            if not limit.reached:
                raise
