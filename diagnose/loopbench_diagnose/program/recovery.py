"""The configuration of stock training that a program amounts to, recovered from one run."""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import keras

from loopbench_diagnose.effects import learning_rate
from loopbench_diagnose.loops import Loop, compile_and_fit
from loopbench_diagnose.settings import Schedule, options, plain, settings

# Names that Keras's `compile` takes and that say what is trained, beside loss, optimizer and metrics.
COMPILED = ("loss_weights", "weighted_metrics")
# Columns of the code that people copy.
WIDTH = 88


class NotRecoveredError(ValueError):
    """The stock training that a program amounts to cannot be stated."""


@dataclass(frozen=True, eq=False)
class Configuration:
    """Stock training: what ``compile`` and ``fit`` are given.

    ``loss`` is as for ``compile``: a name, a loss, a function or a structure of them, None where the model adds its
    losses itself. ``optimizer`` is one that has not trained. ``compile_options`` are more options for ``compile``.
    ``changes_rate`` says that the program changes the learning rate during the training, as a callback does.
    """

    loss: Any
    optimizer: keras.optimizers.Optimizer
    batch_size: int
    epochs: int
    metrics: Any = None
    shuffle: bool = True
    class_weight: Mapping[int, float] | None = None
    compile_options: Mapping[str, Any] = field(default_factory=dict)
    changes_rate: bool = False

    @property
    def learning_rate(self) -> float | None:
        """The learning rate at the start, None where it is no number."""
        return learning_rate(self.optimizer)

    def code(self) -> str:
        """Python that trains ``model`` on ``x`` and ``y`` like this."""
        given = {"optimizer": code_of(self.optimizer)}
        if self.loss is not None:
            given["loss"] = code_of(self.loss)
        if self.metrics:
            given["metrics"] = code_of(self.metrics)
        given |= {name: code_of(value) for name, value in self.compile_options.items()}
        fitted = {"batch_size": str(self.batch_size), "epochs": str(self.epochs)}
        if not self.shuffle:
            fitted["shuffle"] = "False"
        if self.class_weight is not None:
            fitted["class_weight"] = code_of({label: _rounded(weight) for label, weight in self.class_weight.items()})
        return f"{_call('model.compile', given)}\n{_call('model.fit', {'x': 'x', 'y': 'y', **fitted})}\n"

    def loop(self) -> Loop:
        """Trains like this, for the number of epochs that the loop is called with."""
        return compile_and_fit(
            optimizer=self.optimizer,
            loss=self.loss,
            metrics=self.metrics,
            batch_size=self.batch_size,
            shuffle=self.shuffle,
            stock_steps=True,
            fit_options={} if self.class_weight is None else {"class_weight": dict(self.class_weight)},
            **self.compile_options,
        )


def _call(function: str, given: Mapping[str, str]) -> str:
    """A call on one line, or with one argument a line where that is too long."""
    whole = f"{function}({_arguments(given)})"
    if len(whole) <= WIDTH:
        return whole
    lines = "".join(f"    {name}={value},\n" for name, value in given.items())
    return f"{function}(\n{lines})"


def _arguments(given: Mapping[str, str]) -> str:
    return ", ".join(f"{name}={value}" for name, value in given.items())


def code_of(value: Any) -> str:
    """Python for a value that ``compile`` takes: Keras objects with the options that are not their defaults."""
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{code_of(key)}: {code_of(one)}' for key, one in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(code_of, value))}]"
    if isinstance(value, KINDS):
        return _object(value)
    if callable(value):
        return getattr(value, "__name__", type(value).__name__)
    return repr(plain(value))


KINDS = (
    keras.optimizers.Optimizer,
    keras.losses.Loss,
    keras.metrics.Metric,
    Schedule,
)
# Options that change nothing.
UNSTATED = frozenset({"name", "dtype"})
# Where Keras has the classes.
MODULES = ("keras.optimizers", "keras.losses", "keras.metrics", "keras.optimizers.schedules")


def _object(value: Any) -> str:
    kind = type(value)
    # Some losses leave options of their functions out of their configuration, as Huber its delta.
    options = getattr(value, "_fn_kwargs", None) or {}
    config = _config(value) | {name: options[name] for name in inspect.signature(kind).parameters if name in options}
    default = _defaults(kind)
    given = {name: one for name, one in config.items() if name not in UNSTATED and one != default.get(name)}
    return f"{_name(kind, value)}({_arguments({name: code_of(_rounded(one)) for name, one in given.items()})})"


def _config(value: Any) -> dict[str, Any]:
    """The options that make another object like ``value``."""
    if isinstance(value, keras.optimizers.Optimizer):
        return {name: plain(one) for name, one in settings(value).items()}
    if isinstance(value, Schedule):
        taken = inspect.signature(type(value)).parameters
        return {name: one for name, one in options(value).items() if name in taken}
    return dict(value.get_config())


def _defaults(kind: type) -> dict[str, Any]:
    """The options of a new object; of the signature alone where some have no default."""
    stated = {name: one.default for name, one in inspect.signature(kind).parameters.items()}
    try:
        return stated | _config(kind())
    except TypeError:
        return stated


def _rounded(value: Any) -> Any:
    """A number in float32, as a variable holds it, in its shortest form."""
    number = plain(value)
    return float(f"{number:.7g}") if isinstance(number, float) else number


def _name(kind: type, value: Any) -> str:
    module = next(
        (module for base, module in zip(KINDS, MODULES, strict=True) if isinstance(value, base)),
        "keras",
    )
    return f"{module}.{kind.__name__}" if kind.__module__.startswith("keras.") else kind.__name__
