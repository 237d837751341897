"""What is compared."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras

from loopbench_diagnose.loops import Loop

Factory = Callable[[], keras.Model]


@dataclass(frozen=True)
class Side:
    """One way of training.

    ``loss`` gives float[n], the loss of every sample from its labels and outputs, where it is known; ``compile`` and
    ``fit`` state it themselves. ``build_model`` makes this side's model where it is not built as the other's: in the
    scope of a strategy, for example. Its variables have the same shapes.
    """

    train: Loop
    loss: Callable[[Any, Any], Any] | None = None
    build_model: Factory | None = None
