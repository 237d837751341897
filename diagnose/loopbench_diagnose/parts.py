"""Layers and sub-models of a model that a loop calls one after the other, in place of the model."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import keras

from loopbench_diagnose.data import have_values
from loopbench_diagnose.patching import replaced
from loopbench_diagnose.trace import Call


def parts_of(model: keras.Model) -> list[Any]:
    """All layers and sub-models of a model, in an order that depends on its factory alone."""
    return list(model._flatten_layers(include_self=False))  # noqa: SLF001  Keras has no public way


@contextmanager
def counting_calls() -> Iterator[Counter[int]]:
    """The number of calls on values that every layer gets within the block, by its id."""
    counts: Counter[int] = Counter()

    def counting(original: Any) -> Any:
        def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
            if args and have_values(args[0]):
                counts[id(layer)] += 1
            return original(layer, *args, **kwargs)

        return call

    with replaced(keras.layers.Layer, "__call__", counting):
        yield counts


@dataclass
class Chain:
    """Calls of parts that together stand for one call of the model.

    ``call`` has the inputs of the first part and the outputs of the last one. ``called`` counts the calls of each part
    by its id. ``flags`` are the training flags of the parts that take one.
    """

    call: Call
    called: Counter[int] = field(default_factory=Counter)
    flags: list[bool] = field(default_factory=list)
    has_models: bool = False

    def add(self, part: Any, call: Call, *, takes_flag: bool) -> None:
        """Adds a call of one more part; the first is the one that the chain was made with."""
        former = self.call
        if takes_flag:
            self.flags.append(call.training)
        self.called[id(part)] += 1
        self.has_models = self.has_models or isinstance(part, keras.Model)
        self.call = replace(
            call,
            rows=former.rows,
            inputs=former.inputs,
            training=self._training(former.training or call.training, taped=call.taped),
            weights=former.weights,
            penalty=call.penalty if former is call else former.penalty + call.penalty,
        )

    def _training(self, stated: bool, *, taped: bool) -> bool:
        """One part in the wrong mode is enough: out of training mode under a tape, in training mode beside it."""
        if not self.flags:
            return stated
        return all(self.flags) if taped else any(self.flags)

    def takes(self, part: Any, most: int) -> bool:
        """Whether another call of ``part`` continues the chain; a call of the model calls it ``most`` times."""
        if isinstance(part, keras.Model):
            return self.called[id(part)] < most
        return not self.has_models or self.called[id(part)] < max(most, 1)
