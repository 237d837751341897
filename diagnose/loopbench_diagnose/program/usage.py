"""What a loop calls of Keras: how often it compiles, and how it calls ``fit``."""

import inspect
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import keras

from loopbench_diagnose.effects import inner
from loopbench_diagnose.patching import replaced
from loopbench_diagnose.settings import copy_or_none

# What `Model.fit` takes and that says what is trained, and for how long.
FITTED = tuple(inspect.signature(keras.Model.fit).parameters)[1:]


@dataclass
class Usage:
    """Calls on one model: ``compiles`` counts ``Model.compile``, ``fits`` has the arguments of every ``Model.fit``.

    ``optimizer`` is a copy of the optimizer that the first ``fit`` begins with, before a callback changes its settings;
    None where it cannot be copied. ``epochs`` has the figures of every epoch that ``fit`` ended. ``is_part`` says that
    another model was trained by ``fit`` that holds weights of this one.
    """

    compiles: int = 0
    is_part: bool = False
    optimizer: Any = None
    fits: list[dict[str, Any]] = field(default_factory=list)
    epochs: list[dict[str, float]] = field(default_factory=list)

    def add_fit(self, model: keras.Model, arguments: dict[str, Any]) -> None:
        """Adds a call of ``fit``, before it trains."""
        if not self.fits:
            self.optimizer = copy_or_none(inner(model.optimizer))
        self.fits.append(arguments)

    def add_epoch(self, logs: Mapping[str, Any] | None) -> None:
        """Adds the figures of an epoch."""
        self.epochs.append({name: float(value) for name, value in (logs or {}).items()})

    @property
    def is_stock(self) -> bool:
        """Whether the loop is one ``fit``, compiled once at most."""
        return len(self.fits) == 1 and self.compiles <= 1


class _Epochs(keras.callbacks.Callback):
    def __init__(self, usage: Usage) -> None:
        super().__init__()
        self._usage = usage

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002  Keras's signature
        self._usage.add_epoch(logs)


@contextmanager
def observed(model: keras.Model) -> Iterator[Usage]:
    """Gives what the block calls of Keras's training on ``model``."""
    usage, variables = Usage(), {id(variable) for variable in model.variables}

    def compiling(original: Any) -> Any:
        def compile_(compiled: Any, *args: Any, **kwargs: Any) -> Any:
            usage.compiles += compiled is model
            return original(compiled, *args, **kwargs)

        return compile_

    def fitting(original: Any) -> Any:
        signature = inspect.signature(original)

        def fit(fitted: Any, *args: Any, **kwargs: Any) -> Any:
            if fitted is not model:
                usage.is_part = usage.is_part or any(id(variable) in variables for variable in fitted.variables)
                return original(fitted, *args, **kwargs)
            bound = signature.bind(fitted, *args, **kwargs)
            bound.apply_defaults()
            arguments = dict(bound.arguments)
            arguments.pop("self", None)
            usage.add_fit(model, arguments)
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
