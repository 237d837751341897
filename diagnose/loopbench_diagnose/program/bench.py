"""Trial trainings of a program with changes, each made once, and their scores on one scale."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import keras
import numpy as np

from loopbench_diagnose.data import leaves
from loopbench_diagnose.program import surgery
from loopbench_diagnose.program.heads import Loss, loss_of
from loopbench_diagnose.program.run import Program
from loopbench_diagnose.program.surgery import Anatomy, Change
from loopbench_diagnose.program.tasks import Kind
from loopbench_diagnose.program.training import Outcome
from loopbench_diagnose.side import Factory
from loopbench_diagnose.variables import everything

SEEDS = (0, 1)
# Rows that a model is called on to find its layers.
ROWS = 4
# Rows that outputs of hidden layers are looked at for.
MOST_ROWS = 256

Changes = Mapping[str, Any]

# By the name of a change of the model: what it does for a value.
SURGERY: dict[str, Any] = {
    "units": surgery.units,
    "output": surgery.output,
    "hidden": lambda value: surgery.hidden(*value),
    "between": surgery.between,
    "recurrent": surgery.recurrent,
    "dropout": lambda _: surgery.without_dropout,
    "penalty": lambda _: surgery.without_penalty,
    "initial": lambda _: surgery.reinitialized,
    "trainable": lambda _: surgery.unfrozen,
}


@dataclass(frozen=True)
class Scale:
    """An affine map of arrays: ``(values - shift) / size``, column by column where those are arrays."""

    shift: Any
    size: Any

    def __call__(self, values: Any) -> Any:
        """The values on the scale, float32."""
        return ((np.asarray(values, np.float64) - self.shift) / self.size).astype(np.float32)


class Bench:
    """Trial trainings of ``program`` with changes.

    A change is a name and a value: those of ``SURGERY``, ``loss`` (a ``Loss``), ``rate`` (a factor), ``optimizer`` (a
    name), ``inputs`` and ``targets`` (True: to unit scale), ``epochs`` (a factor) and ``shuffle``.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        # By the names of changes: errors of the program under these, which are not tried with others.
        self.failed: dict[frozenset[str], Exception] = {}
        self._factories: dict[Any, Factory] = {}
        self._losses = cache(lambda loss: loss.made())
        self._optimizers = cache(keras.optimizers.get)

    @cached_property
    def _rows(self) -> Any:
        count = self.program.harness.fixed_batch or min(ROWS, len(self.program.training))
        return self.program.training.rows(slice(count)).x

    @cached_property
    def anatomy(self) -> Anatomy:
        """The layers of the program's model."""
        return surgery.anatomy(self.program.harness.made(), self._rows)

    @cached_property
    def loss(self) -> Loss | None:
        """The loss of the program; None where there is none, or several."""
        return loss_of(self.program.configuration.loss)

    def _factory(self, changes: Changes) -> Factory | None:
        made: dict[str, Change] = {name: SURGERY[name](value) for name, value in changes.items() if name in SURGERY}
        if not made:
            return None
        key = tuple(sorted((name, str(changes[name])) for name in made))
        if key not in self._factories:
            order = [made[name] for name in SURGERY if name in made]
            self._factories[key] = surgery.changed(self.program.trained_model, self._rows, *order)
        return self._factories[key]

    @cached_property
    def inputs_to_unit_scale(self) -> Scale:
        """Puts the inputs to mean 0 and deviation 1: column by column, or over all pixels."""
        return unit_scale(self.program.training.x)

    @cached_property
    def targets_to_unit_scale(self) -> Scale:
        """The same for labels that are numbers."""
        return unit_scale(self.program.training.y)

    def outcome(self, changes: Changes, seed: int = 0) -> Outcome:
        """The trial with these changes."""
        program, given = self.program, {}
        rate = program.configuration.learning_rate
        if "optimizer" in changes:
            given["optimizer"] = self._optimizers(changes["optimizer"])
            rate = float(given["optimizer"].learning_rate)
        if "rate" in changes and rate is not None:
            given["learning_rate"] = rate * changes["rate"]
        if "loss" in changes:
            given["loss"] = self._losses(changes["loss"])
        if changes.get("inputs"):
            given["x"] = self.inputs_to_unit_scale
        if changes.get("targets") or (changes.get("inputs") and program.task.kind is Kind.RECONSTRUCTION):
            given["y"] = self.targets_to_unit_scale
        if "epochs" in changes:
            given["updates"] = int(program.updates() * changes["epochs"])
        if "shuffle" in changes:
            given["shuffle"] = changes["shuffle"]
        return program.trial(model=self._factory(changes), seed=seed, **given)

    def level(self, changes: Changes, seed: int = 0) -> float:
        """The score of a trial on a scale from 0, the best constant, to 1.

        It is 0 where something is not finite, or where the program fails with the changes.
        """
        if any(names <= changes.keys() for names in self.failed):
            return 0.0
        try:
            outcome = self.outcome(changes, seed)
        except Exception as error:
            if not changes:
                raise
            # A class of the user's may need what a change removes. The other changes stand.
            self.failed[frozenset(changes)] = error
            return 0.0
        if not outcome.is_finite or not np.isfinite(outcome.score):
            return 0.0
        return self.scaled(outcome.score)

    def scaled(self, score: float) -> float:
        """A task score on the scale of :meth:`level`."""
        chance = self.program.task.chance
        return max(0.0, (score - chance) / (1 - chance)) if chance < 1 else 0.0

    def levels(self, changes: Changes) -> list[float]:
        """The same under every seed."""
        return [self.level(changes, seed) for seed in SEEDS]

    def score(self, changes: Changes) -> float:
        """The mean task score over the seeds."""
        return float(np.mean([self.outcome(changes, seed).score for seed in SEEDS]))

    @cached_property
    def own_level(self) -> float:
        """The level that the program reached as the user runs it."""
        program = self.program
        score = program.score(program.held_out, program.predicted(program.history.model, program.held_out.x))
        return self.scaled(score) if np.isfinite(score) else 0.0

    def hidden_values(self) -> list[tuple[Any, Any]]:
        """Hidden layers with their outputs for held-out samples, at the end of a trial without changes."""
        model = self.program.harness.model()
        for variable, value in zip(everything(model), self.outcome({}).weights, strict=True):
            variable.assign(value)
        return surgery.values_of(
            model, self.program.held_out.rows(slice(self.program.harness.fixed_batch or MOST_ROWS)).x
        )

    @cached_property
    def kernels(self) -> list[Any]:
        """Trainable kernels of an untrained model, in their order; biases with two axes, as of a GRU, are none."""
        model = self.program.harness.model()
        return [
            one
            for one in model.trainable_variables
            if one.name in surgery.INITIALIZERS and one.name != "bias" and one.ndim > 1
        ]


def unit_scale(arrays: Any) -> Scale:
    """Of the only array: by column where it has two axes, or else over all values."""
    values = np.asarray(leaves(arrays)[0], np.float64)
    axes = 0 if values.ndim <= 2 else tuple(range(values.ndim))  # noqa: PLR2004  samples and columns
    size = values.std(axis=axes)
    return Scale(values.mean(axis=axes), np.where(size > 0, size, 1.0))
