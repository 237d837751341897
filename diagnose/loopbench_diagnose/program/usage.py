"""What a loop calls of Keras: how often it compiles, and how it calls ``fit``."""

import inspect
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import keras

from loopbench_diagnose.patching import replaced


@dataclass
class Usage:
    """Calls of one run: ``compiles`` counts ``Model.compile``, ``fits`` has the arguments of every ``Model.fit``.

    ``epochs`` has the figures of every epoch that ``fit`` ended.
    """

    compiles: int = 0
    fits: list[dict[str, Any]] = field(default_factory=list)
    epochs: list[dict[str, float]] = field(default_factory=list)

    @property
    def is_stock(self) -> bool:
        """Whether the loop is one ``fit``, compiled once at most."""
        return len(self.fits) == 1 and self.compiles <= 1


class _Epochs(keras.callbacks.Callback):
    def __init__(self, usage: Usage) -> None:
        super().__init__()
        self._usage = usage

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002  Keras's signature
        self._usage.epochs.append({name: float(value) for name, value in (logs or {}).items()})


@contextmanager
def observed() -> Iterator[Usage]:
    """Gives what the block calls of Keras's training."""
    usage = Usage()

    def compiling(original: Any) -> Any:
        def compile_(model: Any, *args: Any, **kwargs: Any) -> Any:
            usage.compiles += 1
            return original(model, *args, **kwargs)

        return compile_

    def fitting(original: Any) -> Any:
        signature = inspect.signature(original)

        def fit(model: Any, *args: Any, **kwargs: Any) -> Any:
            bound = signature.bind(model, *args, **kwargs)
            bound.apply_defaults()
            arguments = dict(bound.arguments)
            arguments.pop("self", None)
            usage.fits.append(arguments)
            given = arguments["callbacks"]
            if not isinstance(given, keras.callbacks.CallbackList):
                own = [] if given is None else list(given) if isinstance(given, list | tuple) else [given]
                bound.arguments["callbacks"] = [*own, _Epochs(usage)]
            return original(*bound.args, **bound.kwargs)

        return fit

    with ExitStack() as stack:
        stack.enter_context(replaced(keras.Model, "compile", compiling))
        stack.enter_context(replaced(keras.Model, "fit", fitting))
        yield usage
